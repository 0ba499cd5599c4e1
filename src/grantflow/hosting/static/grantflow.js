// <grantflow-prompt app="call-notes" account="acme"> shows AUTHORIZE, REAUTHORIZE or why neither can be pressed.
// client.interface.trigger("reAuthorize") brings it up; what is shown is what the server says, never what was asked.
(() => {
  "use strict";
  const base = new URL("../..", document.currentScript.src);

  class GrantflowPrompt extends HTMLElement {
    connectedCallback() {
      if (!this.firstElementChild) this.refresh();
    }

    async refresh() {
      const url = new URL(`apps/${encodeURIComponent(this.getAttribute("app"))}/prompt`, base);
      if (this.hasAttribute("account")) url.searchParams.set("account", this.getAttribute("account"));
      let told;
      try {
        const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } });
        told = await answer.json();
        if (!answer.ok) told = { message: told.message, prompt: "none", error: told.error };
      } catch {
        told = { message: "", prompt: "none", error: "unreachable" };
      }
      if (told.error !== "unreachable" || !this.firstElementChild) this.show(told); // else what stands there stays
      this.dispatchEvent(new CustomEvent("grantflow:prompt", { bubbles: true, detail: told }));
      return told;
    }

    show(told) {
      const say = (text, kind) => {
        const line = document.createElement("p");
        line.className = kind;
        line.textContent = text; // text, never markup: names come from outside
        return line;
      };
      const sentence = say(told.message || "", "gf-sentence");
      sentence.setAttribute("role", "status");
      const parts = [sentence];
      if (told.action) parts.push(this.form(told));
      else if (told.prompt && told.prompt !== "none") parts.push(say(told.help, "gf-small"));
      this.dataset.prompt = told.prompt;
      this.hidden = false;
      this.replaceChildren(...parts);
    }

    form(told) {
      const form = document.createElement("form");
      form.method = "post";
      form.action = told.action;
      for (const [name, value] of Object.entries(told.fields)) {
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name, value });
        form.append(field);
      }
      const button = document.createElement("button");
      button.className = "gf-button gf-primary";
      button.textContent = told.label;
      form.append(button);
      return form;
    }
  }

  customElements.define("grantflow-prompt", GrantflowPrompt);

  const client = (window.client ??= {});
  client.interface ??= {};
  client.interface.trigger = async (name) => {
    if (name !== "authorize" && name !== "reAuthorize") throw new RangeError(`unknown trigger: ${name}`);
    const prompt = document.querySelector("grantflow-prompt");
    if (!prompt) throw new Error("there is no <grantflow-prompt> on this page");
    const told = await prompt.refresh();
    prompt.querySelector("button")?.focus();
    return told;
  };
})();
