// The studio: a face, a picture or video, a price, a run, a result. All state lives on the server; the address
// carries the job's id, so a reload or a shared bookmark shows the same job.

import { Api, Problem, Unreachable, fill } from "./api.js";
import { CancelDialog } from "./cancel-dialog.js";
import { Compare } from "./compare.js";
import { FacePicker } from "./face-picker.js";
import { PictureSlot } from "./picture-slot.js";

const POLL_FAST_MS = 500;
const POLL_SLOW_MS = 2000;
const POLLS_FAST = 20;
const STALE_QUOTE_CODES = ["quote_expired", "quote_redeemed", "quote_not_found"];

class Studio {
  #quoting = 0;
  #watching = 0;
  #isFollowing = false;
  #jobId = null;

  constructor(root, config) {
    this.root = root;
    this.config = config;
    this.texts = config.texts;
    this.api = new Api({ csrfToken: root.dataset.csrf, texts: config.texts });
    this.quote = null;
    const slots = root.querySelectorAll("[data-slot]");
    [this.source, this.target] = Array.from(slots, (slot) => {
      const takesVideos = slot.dataset.slot === "target";
      return new PictureSlot(slot, { api: this.api, config, takesVideos });
    });
    this.compare = new Compare(this.#part("compare"));
    this.cancelDialog = new CancelDialog(this.#part("cancel-dialog"), { api: this.api, config });
    this.picker = new FacePicker(this.#part("picker"), { api: this.api, config });
    this.picker.addEventListener("open", () => this.#offerFaces());
    this.picker.addEventListener("change", () => {
      this.#mode("mapping").checked = true;
      this.price();
    });
    for (const slot of [this.source, this.target]) {
      slot.addEventListener("change", () => this.#takeUploads());
      slot.addEventListener("refused", (event) => this.#offerSignIn(event.detail));
    }
    this.#part("faces").addEventListener("change", () => this.price());
    this.#part("run").addEventListener("click", () => this.run());
    this.#part("cancel").addEventListener("click", () => this.cancel());
    this.#part("again").addEventListener("click", () => this.again());
    document.addEventListener("paste", (event) => this.#paste(event));
  }

  /** Other files show other faces: until those are known, there are none to choose. */
  #takeUploads() {
    this.#part("choose").hidden = true;
    if (this.#mode("mapping").checked) {
      this.#mode("one").checked = true;
    }
    this.picker.look(this.source.asset, this.target.asset);
    this.price();
  }

  /** Several faces are there to choose from; whoever said nothing else yet is asked to choose. */
  #offerFaces() {
    this.#part("choose").hidden = false;
    if (this.#mode("one").checked) {
      this.#mode("mapping").checked = true;
      this.price();
    }
  }

  #mode(value) {
    return this.root.querySelector(`[name=target_faces][value=${value}]`);
  }

  /** Ask for a binding price as soon as both files are there. */
  async price() {
    if (this.#isFollowing) {
      // The order is out of sight; it is priced anew when the job has ended.
      return;
    }
    const quoting = ++this.#quoting;
    this.quote = null;
    this.#part("run").disabled = true;
    this.#part("price").hidden = true;
    this.#part("price-detail").hidden = true;
    this.#part("price-reason").hidden = true;
    if (!this.source.asset || !this.target.asset) {
      this.#say("price-status", this.texts.choose_both);
      return;
    }
    const targetFaces = this.root.querySelector("[name=target_faces]:checked").value;
    const options = { target_faces: targetFaces };
    if (targetFaces === "mapping") {
      options.mapping = this.picker.mapping;
      if (options.mapping.length === 0) {
        this.#say("price-status", this.texts.choose_face);
        return;
      }
    }
    this.#say("price-status", this.texts.pricing);
    try {
      const quote = await this.api.postJson(this.config.urls.quotes, {
        operation: this.target.asset.kind === "video" ? "video_swap" : "image_swap",
        source_asset_id: this.source.asset.id,
        target_asset_id: this.target.asset.id,
        options,
      });
      if (quoting === this.#quoting) {
        this.#showQuote(quote);
      }
    } catch (error) {
      if (quoting === this.#quoting) {
        this.#say("price-status", "");
        this.#refuse(error);
      }
    }
  }

  #showQuote(quote) {
    const isAffordable = quote.balance.after >= 0;
    this.quote = quote;
    this.#say("price-tokens", String(quote.tokens));
    this.#say("price-available", String(quote.balance.available));
    this.#say("price-after", isAffordable ? String(quote.balance.after) : "–");
    const time = new Date(quote.expires_at).toLocaleTimeString(document.documentElement.lang, {
      hour: "2-digit",
      minute: "2-digit",
    });
    this.#part("price").hidden = false;
    const [line] = quote.lines;
    this.#part("price-detail").hidden = line.operation !== "video_swap";
    const seconds = Math.ceil(line.quantity / 1000);
    this.#say("price-detail", fill(this.texts.price_of_video, { seconds, tokens: line.unit_price }));
    this.#showReason(quote.price);
    const text = isAffordable ? fill(this.texts.price_until, { time }) : this.texts.missing_tokens;
    this.#say("price-status", text);
    this.#part("run").disabled = !isAffordable;
  }

  /** Only a price that is not the ordinary one needs a reason. */
  #showReason({ multiplier_bp: multiplier, reason_text: reason }) {
    const isOrdinary = multiplier === 10000;
    this.#part("price-reason").hidden = isOrdinary;
    const percent = Math.round(multiplier / 100);
    this.#say("price-reason", isOrdinary ? "" : fill(this.texts.price_of_moment, { percent, reason }));
  }

  /** Redeem the quote. Its id is the Idempotency-Key: pressing twice pays once. */
  async run() {
    const quote = this.quote;
    if (!quote) {
      return;
    }
    this.#part("run").disabled = true;
    this.#clearProblem();
    this.#say("price-status", this.texts.submitting);
    try {
      const job = await this.api.postJson(
        this.config.urls.jobs,
        { quote_id: quote.id },
        { "Idempotency-Key": `studio-${quote.id}` },
      );
      window.history.replaceState(null, "", `${this.config.urls.studio}?job=${job.id}`);
      this.#showProgress(job);
      this.#part("progress-panel").focus();
      await this.watch(job);
    } catch (error) {
      this.#hideProgress();
      this.#refuse(error);
      if (error instanceof Problem && STALE_QUOTE_CODES.includes(error.code)) {
        await this.price();
      } else {
        this.#showQuote(quote);
      }
    }
  }

  /** Cancel the job that is followed; whoever watches it then sees its end. */
  async cancel() {
    this.#clearProblem();
    try {
      if (await this.cancelDialog.ask(this.#jobId)) {
        this.#part("cancel").disabled = true;
      }
    } catch (error) {
      if (error.code !== "job_finished") {
        this.#refuse(error);
      }
    }
  }

  /** Follow a job to its end. */
  async watch(first) {
    const watching = ++this.#watching;
    this.#isFollowing = true;
    this.#jobId = first.id;
    this.#part("cancel").disabled = false;
    let job = first;
    for (let polls = 0; job.finished_at === null; polls += 1) {
      this.#showProgress(job);
      await sleep(polls < POLLS_FAST ? POLL_FAST_MS : POLL_SLOW_MS);
      job = await this.#poll(job);
      if (watching !== this.#watching) {
        return;
      }
    }
    this.#hideProgress();
    if (job.output !== null) {
      this.#showResult(job);
    } else {
      this.#showFailure(job);
    }
    await this.price();
  }

  async #poll(job) {
    try {
      return await this.api.get(`${this.config.urls.jobs}/${job.id}`);
    } catch (error) {
      const isPassing = error instanceof Unreachable || error.problem?.retryable;
      if (!isPassing) {
        throw error;
      }
      this.#say("progress-text", this.texts.offline);
      await sleep(1000 * (error.problem?.retry_after_s ?? 2));
      return job;
    }
  }

  /** Open a job by the id in the address: running ones go on, finished ones show their result. */
  async open(jobId) {
    try {
      const job = await this.api.get(`${this.config.urls.jobs}/${encodeURIComponent(jobId)}`);
      const assets = [job.source_asset_id, job.target_asset_id];
      const [source, target] = await Promise.all(
        assets.map((id) => this.api.get(`${this.config.urls.assets}/${id}`)),
      );
      this.#isFollowing = true;
      this.picker.want(job.options.mapping ?? []);
      this.source.use(source);
      this.target.use(target);
      const mode = this.#mode(job.options.target_faces);
      if (mode && mode.value !== "mapping") {
        mode.checked = true;
      }
      await this.watch(job);
    } catch (error) {
      this.#hideProgress();
      this.#refuse(error);
    }
  }

  /** Make room for the next swap; the face stays. */
  again() {
    this.#watching += 1;
    window.history.replaceState(null, "", this.config.urls.studio);
    this.#part("result-panel").hidden = true;
    this.#part("player").pause();
    this.#clearProblem();
    this.target.clear();
    this.target.input.focus();
  }

  #showProgress(job) {
    const { percent, stage } = job.progress;
    const text = this.texts.stage[stage] ?? this.texts.state[job.state];
    this.#part("result-panel").hidden = true;
    this.#part("order-panel").hidden = true;
    this.#part("progress-panel").hidden = false;
    this.#part("progress").value = percent;
    this.#say("progress-percent", `${percent} %`);
    this.#say("progress-text", text);
    this.#showFrames(job.progress);
  }

  #showFrames({ frames_done: done, frames: all, eta_s: seconds }) {
    this.#part("progress-frames").hidden = all === null;
    const text = seconds === null ? this.texts.frames : this.texts.frames_left;
    this.#say("progress-frames", fill(text, { done, all, seconds }));
  }

  #hideProgress() {
    this.#isFollowing = false;
    this.cancelDialog.close();
    this.#part("progress-panel").hidden = true;
    this.#part("order-panel").hidden = false;
  }

  #showResult(job) {
    const isVideo = job.operation === "video_swap";
    this.compare.root.hidden = isVideo;
    this.#part("compare-hint").hidden = isVideo;
    const player = this.#part("player");
    player.hidden = !isVideo;
    if (isVideo) {
      player.poster = `${this.config.urls.jobs}/${job.id}/thumbnail`;
      player.src = job.output.url;
    } else {
      player.removeAttribute("src");
      this.compare.show({
        before: `${this.config.urls.assets}/${job.target_asset_id}/content`,
        after: job.output.url,
      });
    }
    this.#part("download").href = job.output.url;
    const receipt = { tokens: job.receipt.settled, refunded: job.receipt.refunded };
    this.#say("result-text", fill(this.texts.done, receipt));
    this.#part("result-panel").hidden = false;
    this.#part("result-title").focus();
  }

  #showFailure(job) {
    const { settled, refunded } = job.receipt;
    if (job.error === null) {
      const receipt = fill(this.texts.receipt, { tokens: settled, refunded });
      this.#showProblem(this.texts.without_result[job.state], receipt);
    } else {
      this.#showProblem(job.error.detail, fill(this.texts.failed, { tokens: refunded }));
    }
  }

  #offerSignIn(error) {
    if (error.status === 401) {
      this.#showProblem(this.texts.signed_out, "", this.config.urls.login);
    }
  }

  #refuse(error) {
    if (error.status === 401) {
      this.#offerSignIn(error);
    } else if (error instanceof Problem || error instanceof Unreachable) {
      const faults = (error.problem?.errors ?? []).map((fault) => fault.detail).join(" ");
      this.#showProblem(error.message, faults);
    } else {
      this.#showProblem(this.texts.unexpected, "");
      throw error;
    }
  }

  #showProblem(detail, more, loginUrl = "") {
    this.#say("problem-detail", detail);
    this.#say("problem-more", more);
    const link = this.#part("problem-login");
    link.hidden = loginUrl === "";
    link.href = `${loginUrl}?next=${encodeURIComponent(location.pathname + location.search)}`;
    this.#part("problem").hidden = false;
    this.#part("problem").scrollIntoView({ block: "nearest" });
  }

  #clearProblem() {
    this.#part("problem").hidden = true;
  }

  #paste(event) {
    const [file] = event.clipboardData.files;
    if (file) {
      (this.source.asset ? this.target : this.source).take(file);
    }
  }

  /** Texts change only when they differ: a live region would repeat itself on every poll. */
  #say(name, text) {
    const part = this.#part(name);
    if (part.textContent !== text) {
      part.textContent = text;
    }
  }

  #part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }
}

function sleep(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

const config = JSON.parse(document.getElementById("studio-config").textContent);
const studio = new Studio(document.getElementById("studio"), config);
const jobId = new URLSearchParams(location.search).get("job");
if (jobId) {
  studio.open(jobId);
}
