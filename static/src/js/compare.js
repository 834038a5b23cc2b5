// Before and after in one frame; a range input, so it works with keys, touch and mouse.

export class Compare {
  constructor(root) {
    this.root = root;
    this.before = root.querySelector("[data-before]");
    this.after = root.querySelector("[data-after]");
    this.range = root.querySelector("input[type=range]");
    this.range.addEventListener("input", () => this.#split());
    this.#split();
  }

  /** Show two pictures of the same proportions. */
  show({ before, after }) {
    this.before.src = before;
    this.after.src = after;
    this.range.value = "50";
    this.#split();
  }

  #split() {
    this.root.style.setProperty("--split", `${this.range.value}%`);
  }
}
