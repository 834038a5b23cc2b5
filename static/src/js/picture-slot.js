// One place for a picture or video: choose, drop or paste a file, see it, upload it.

import { fill } from "./api.js";

export class PictureSlot extends EventTarget {
  #upload = 0;

  constructor(root, { api, config, takesVideos = false }) {
    super();
    this.root = root;
    this.api = api;
    this.config = config;
    this.takesVideos = takesVideos;
    this.asset = null;
    this.input = root.querySelector("input[type=file]");
    this.preview = root.querySelector("[data-preview]");
    this.status = root.querySelector("[data-status]");
    this.zone = root.querySelector("[data-zone]");
    this.#listen();
    // A quick visitor may have chosen a file before this script was there.
    this.#takeChosen();
  }

  #listen() {
    this.input.addEventListener("change", () => this.#takeChosen());
    for (const name of ["dragenter", "dragover"]) {
      this.zone.addEventListener(name, (event) => {
        event.preventDefault();
        this.root.classList.add("slot--over");
      });
    }
    for (const name of ["dragleave", "drop"]) {
      this.zone.addEventListener(name, () => this.root.classList.remove("slot--over"));
    }
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length > 0) {
        this.take(event.dataTransfer.files[0]);
      }
    });
  }

  #takeChosen() {
    if (this.input.files.length > 0) {
      this.take(this.input.files[0]);
    }
  }

  /** Show and upload a file. A later file wins over an upload that is still under way. */
  async take(file) {
    const upload = ++this.#upload;
    this.#set(null);
    const { limits, texts, urls } = this.config;
    const isVideo = this.takesVideos && looksLikeVideo(file, limits);
    if (!isVideo && !limits.content_types.includes(file.type)) {
      this.#clearPreview();
      this.#say(this.takesVideos ? texts.wrong_target_type : texts.wrong_type, "error");
      return;
    }
    const bytesMax = isVideo ? limits.video_bytes_max : limits.bytes_max;
    if (file.size > bytesMax) {
      this.#clearPreview();
      const megabytes = Math.floor(bytesMax / 1024 / 1024);
      this.#say(fill(texts.too_large, { megabytes }), "error");
      return;
    }
    if (isVideo) {
      // Its first picture comes with the answer.
      this.#clearPreview();
    } else {
      this.#show(URL.createObjectURL(file));
    }
    this.#say(texts.uploading, "busy");
    try {
      const asset = await this.api.postFile(urls.assets, file);
      if (upload === this.#upload) {
        if (isVideo) {
          this.#show(asset.thumbnail_url);
        }
        this.#describe(asset);
        this.#set(asset);
      }
    } catch (error) {
      if (upload === this.#upload) {
        this.#clearPreview();
        this.#say(error.message, "error");
        this.dispatchEvent(new CustomEvent("refused", { detail: error }));
      }
    }
  }

  /** Show a picture or video that was uploaded before. */
  use(asset) {
    this.#upload += 1;
    this.#show(asset.thumbnail_url);
    this.#describe(asset);
    this.#set(asset);
  }

  /** Forget what was chosen. */
  clear() {
    this.#upload += 1;
    this.#clearPreview();
    this.#say("", "");
    this.#set(null);
  }

  #set(asset) {
    this.asset = asset;
    // The same file may be chosen again after an error.
    this.input.value = "";
    this.dispatchEvent(new Event("change"));
  }

  #describe(asset) {
    const { texts } = this.config;
    if (asset.kind === "video") {
      const seconds = (asset.duration_ms / 1000).toFixed(1);
      this.#say(fill(texts.uploaded_video, { ...asset, seconds }), "good");
    } else {
      this.#say(fill(texts.uploaded, asset), "good");
    }
  }

  #show(url) {
    this.#release();
    this.preview.src = url;
    this.preview.hidden = false;
    this.root.classList.add("slot--filled");
  }

  #clearPreview() {
    this.#release();
    this.preview.hidden = true;
    this.preview.removeAttribute("src");
    this.root.classList.remove("slot--filled");
  }

  #release() {
    if (this.preview.src.startsWith("blob:")) {
      URL.revokeObjectURL(this.preview.src);
    }
  }

  #say(text, tone) {
    this.status.textContent = text;
    this.status.dataset.tone = tone;
  }
}

function looksLikeVideo(file, limits) {
  const name = file.name.toLowerCase();
  return (
    limits.video_types.includes(file.type) ||
    limits.video_suffixes.some((suffix) => name.endsWith(suffix))
  );
}
