// Asks before a running job is canceled, and says what will come back. The server knows: what is done by then costs.

import { fill } from "./api.js";

export class CancelDialog {
  #jobUrl = null;

  constructor(root, { api, config }) {
    this.root = root;
    this.api = api;
    this.urls = config.urls;
    this.texts = config.texts;
  }

  /** Ask; true once the job is canceled, false when it goes on. Refusals of the server are thrown. */
  async ask(jobId) {
    this.#jobUrl = `${this.urls.jobs}/${jobId}`;
    const { settled, refunded } = await this.api.get(`${this.#jobUrl}/cancel`);
    const text = settled === 0 ? this.texts.cancel_free : this.texts.cancel_part;
    this.root.querySelector("[data-cost]").textContent = fill(text, { settled, refunded });
    if ((await this.#answer()) !== "cancel") {
      return false;
    }
    await this.api.postJson(`${this.#jobUrl}/cancel`, {});
    return true;
  }

  /** The job has ended while the question was open: there is nothing left to ask. */
  close() {
    if (this.root.open) {
      this.root.close("keep");
    }
  }

  #answer() {
    // Escape leaves the value of the last time.
    this.root.returnValue = "keep";
    this.root.showModal();
    return new Promise((resolve) => {
      this.root.addEventListener("close", () => resolve(this.root.returnValue), { once: true });
    });
  }
}
