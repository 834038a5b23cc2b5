// The faces of the source and the target as pictures to choose from. It shows itself only where there is a
// choice: several faces in the target, or in the source.

import { fill } from "./api.js";

const POLL_MS = 700;
const POLLS_MAX = 60;

export class FacePicker extends EventTarget {
  #looking = 0;
  #faces = { source: [], target: [] };
  #known = new Map();
  #wanted = [];

  constructor(root, { api, config }) {
    super();
    this.root = root;
    this.api = api;
    this.config = config;
    root.addEventListener("change", (event) => {
      event.stopPropagation();
      this.dispatchEvent(new Event("change"));
    });
  }

  /** Whether there is something to choose. */
  get isOpen() {
    return !this.root.hidden;
  }

  /** Pairs for the option “mapping”; empty while nothing is chosen. */
  get mapping() {
    const [source] = this.#chosen("source");
    return source
      ? this.#chosen("target").map((target) => ({ source_face_id: source, target_face_id: target }))
      : [];
  }

  /** Have these faces chosen once they are shown: those of a job that was opened by its address. */
  want(mapping) {
    this.#wanted = mapping.flatMap((pair) => [pair.source_face_id, pair.target_face_id]);
  }

  /** Look for the faces of both uploads; without one of them there is nothing to choose. */
  async look(source, target) {
    const looking = ++this.#looking;
    this.root.hidden = true;
    this.#faces = { source: [], target: [] };
    if (!source || !target) {
      return;
    }
    const found = await Promise.all([source, target].map((asset) => this.#find(asset, looking)));
    if (looking !== this.#looking || found.some((faces) => faces === null)) {
      return;
    }
    const [sourceFaces, targetFaces] = found;
    const isChoice = sourceFaces.length > 0 && targetFaces.length > 0;
    if (!isChoice || sourceFaces.length + targetFaces.length < 3) {
      return;
    }
    this.#faces = { source: sourceFaces, target: targetFaces };
    this.#show("source", "radio");
    this.#show("target", "checkbox");
    this.root.hidden = false;
    this.dispatchEvent(new Event("open"));
  }

  /** The faces of an upload; null where they cannot be had, which is no reason to stop anybody. */
  async #find(asset, looking) {
    if (this.#known.has(asset.id)) {
      return this.#known.get(asset.id);
    }
    const url = `${this.config.urls.assets}/${asset.id}/faces`;
    try {
      let found = await this.api.postJson(url, {});
      for (let polls = 0; found.state === "queued" || found.state === "running"; polls += 1) {
        await new Promise((resolve) => {
          setTimeout(resolve, POLL_MS);
        });
        if (looking !== this.#looking || polls === POLLS_MAX) {
          return null;
        }
        found = await this.api.get(url);
      }
      if (found.state !== "done") {
        return null;
      }
      this.#known.set(asset.id, found.faces);
      return found.faces;
    } catch {
      return null;
    }
  }

  #show(name, type) {
    const group = this.root.querySelector(`[data-faces="${name}"]`);
    const faces = this.#faces[name];
    const isWanted = faces.some((face) => this.#wanted.includes(face.id));
    const items = faces.map((face, index) => {
      const input = document.createElement("input");
      input.type = type;
      input.name = `${name}_face`;
      input.value = face.id;
      input.checked = isWanted ? this.#wanted.includes(face.id) : index === 0;
      const picture = document.createElement("img");
      picture.src = face.thumbnail_url;
      picture.alt = "";
      const text = document.createElement("span");
      text.textContent = this.#describe(face, index + 1);
      const label = document.createElement("label");
      label.className = "face";
      label.append(input, picture, text);
      return label;
    });
    group.querySelector("[data-list]").replaceChildren(...items);
    // One face is no choice; it stays chosen.
    group.hidden = faces.length < 2;
  }

  #describe(face, number) {
    const { texts } = this.config;
    if (face.track === null) {
      return fill(texts.face, { number });
    }
    const [start, end] = [face.track.start_ms, face.track.end_ms].map((ms) => (ms / 1000).toFixed(1));
    return fill(texts.face_of_video, { number, start, end });
  }

  #chosen(name) {
    const inputs = this.root.querySelectorAll(`[name="${name}_face"]:checked`);
    return Array.from(inputs, (input) => input.value);
  }
}
