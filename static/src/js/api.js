// The public REST API, called with the browser's session.

/** A refused request. `problem` is the problem document (RFC 9457) of the answer. */
export class Problem extends Error {
  constructor(problem) {
    super(problem.detail);
    this.name = "Problem";
    this.problem = problem;
    this.code = problem.code;
    this.status = problem.status;
  }
}

/** The answer never arrived. */
export class Unreachable extends Error {}

export class Api {
  constructor({ csrfToken, texts }) {
    this.csrfToken = csrfToken;
    this.texts = texts;
  }

  get(url) {
    return this.#send(url, { method: "GET" });
  }

  postJson(url, body, headers = {}) {
    return this.#send(url, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", ...headers },
    });
  }

  postFile(url, file) {
    const form = new FormData();
    form.append("file", file, file.name);
    return this.#send(url, { method: "POST", body: form });
  }

  async #send(url, options) {
    const headers = { Accept: "application/json", ...options.headers };
    if (options.method !== "GET") {
      headers["X-CSRFToken"] = this.csrfToken;
    }
    // The page's language, which may differ from the browser's.
    headers["Accept-Language"] = document.documentElement.lang;
    let response;
    try {
      response = await fetch(url, { ...options, headers, credentials: "same-origin" });
    } catch (error) {
      throw new Unreachable(this.texts.unreachable, { cause: error });
    }
    let body;
    try {
      body = await response.json();
    } catch {
      body = { code: "unexpected", status: response.status, detail: this.texts.unexpected };
    }
    if (!response.ok) {
      throw new Problem({ detail: this.texts.unexpected, status: response.status, ...body });
    }
    return body;
  }
}

/** Fill the words in braces. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}
