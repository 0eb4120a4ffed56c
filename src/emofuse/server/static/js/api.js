// Talking to the server. Errors become ApiError with the server's own sentence.

export class ApiError extends Error {
  constructor(message, code, status) {
    super(message);
    Object.assign(this, { code, status });
  }
}

async function failure(response) {
  try {
    const { error } = await response.json();
    return new ApiError(error.message, error.code, response.status);
  } catch {
    return new ApiError(`The server answered ${response.status} ${response.statusText}.`, "unknown", response.status);
  }
}

async function ask(path, options = {}, alsoGood = null) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it still running?", "offline", 0);
  }
  if (!response.ok && response.status !== alsoGood) throw await failure(response);
  return response;
}

const json = async (path, options) => (await ask(path, options)).json();

/** A server that is not well answers with 503, and says how it is all the same. */
export const health = async () => (await ask("/v1/health", {}, 503)).json();
export const options = () => json("/v1/options");
export const models = () => json("/v1/models");
export const jobs = async () => (await json("/v1/jobs?limit=100")).jobs;
export const job = (id) => json(`/v1/jobs/${encodeURIComponent(id)}`);
export const result = (id, signal) => json(`/v1/jobs/${encodeURIComponent(id)}/result?format=json&source=machine`, { signal });

/** The edits by hand of a result, and their etag. */
async function edits(id, options) {
  const response = await ask(`/v1/jobs/${encodeURIComponent(id)}/annotations`, options);
  return { edits: (await response.json()).edits, etag: response.headers.get("etag") };
}
export const annotations = (id) => edits(id);
export const annotate = (id, added, etag) => edits(id, {
  method: "POST", headers: { "content-type": "application/json", "if-match": etag }, body: JSON.stringify({ edits: added }),
});
export const summary = (id) => json(`/v1/jobs/${encodeURIComponent(id)}/summary`);
export const cancel = (id) => json(`/v1/jobs/${encodeURIComponent(id)}/cancel`, { method: "POST" });
export const remove = (id) => ask(`/v1/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
export const login = (token) => ask("/v1/login", {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token }),
});

export const observe = (form, crop, signal) => json(`/v1/observe${crop ? "?face_crop=true" : ""}`, { method: "POST", body: form, signal });
export const fuse = (observation, weights, signal) => json("/v1/fuse", {
  method: "POST", headers: { "content-type": "application/json" }, signal,
  body: JSON.stringify(weights ? { observation, weights } : { observation }),
});

export const resultAddress = (id, format) => `/v1/jobs/${encodeURIComponent(id)}/result?format=${format}`;
export const mediaAddress = (id, index = 0) => `/v1/jobs/${encodeURIComponent(id)}/media${index ? `/${index}` : ""}`;

/** The bytes of an upload, if there are not more than `most`. */
export async function media(id, index, most, signal) {
  const response = await ask(mediaAddress(id, index), { signal });
  if (Number(response.headers.get("content-length")) > most) {
    await response.body?.cancel();
    return null;
  }
  return response.arrayBuffer();
}

/** Make a job of a form; `told` hears which part has been sent. XMLHttpRequest, because fetch cannot tell. */
export function submit(form, told, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/jobs");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && told(event.loaded / event.total);
    request.onload = () => {
      if (request.status < 300) return resolve(request.response);
      const error = request.response?.error ?? { message: `The server answered ${request.status}.`, code: "unknown" };
      return reject(new ApiError(error.message, error.code, request.status));
    };
    request.onerror = () => reject(new ApiError("The upload broke off. Is the server still running?", "offline", 0));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Hear of a job until it ends. Returns a function that stops listening. */
export function follow(id, told) {
  const events = new EventSource(`/v1/jobs/${encodeURIComponent(id)}/events`);
  const hear = (event) => told(JSON.parse(event.data));
  events.addEventListener("progress", hear);
  events.addEventListener("end", (event) => { events.close(); hear(event); });
  // A server that ends for good refuses; while it restarts, EventSource tries again by itself.
  events.addEventListener("error", async () => {
    if (events.readyState !== EventSource.CLOSED) return;
    try { told(await job(id)); } catch (error) { told({ id, state: "FAILED", error }); }
  });
  return () => events.close();
}
