// Where the edits of a page of its own are kept: in the browser until they are saved as a file.
import { save } from "./dom.js";

/** The browser's memory, where it has one for this page. */
export function memory(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { /* a browser that keeps nothing, or is full: the page still holds the edits */ }
  return null;
}

/** Who edits: asked once a browser. */
export const authorOf = () => memory("author") ?? "";
export const setAuthor = (name) => memory("author", name);

export class PageKeeper {
  constructor({ media, digest, edits = [] }) {
    Object.assign(this, { media, digest });
    this.key = `edits/${digest}`;
    const known = new Set(edits.map((edit) => edit.id));
    let kept = [];
    try { kept = JSON.parse(memory(this.key) ?? "[]"); } catch { /* not ours */ }
    this.edits = [...edits, ...kept.filter((edit) => !known.has(edit.id))];
    this.own = this.edits.slice(edits.length);
    this.where = "Kept in this browser only. Save them, and add them to the result: emofuse annotate RESULT --apply FILE";
  }

  get author() { return authorOf(); }
  set author(name) { setAuthor(name); }

  add(edit) {
    this.edits = [...this.edits, edit];
    this.own.push(edit);
    memory(this.key, JSON.stringify(this.own));
  }

  save() {
    const stem = this.media.name.replace(/\.[^.]*$/, "");
    const text = JSON.stringify({ schema: "emofuse/annotations", version: 1, media: this.media.name, digest: this.digest, edits: this.edits }, null, 1);
    save(new Blob([text], { type: "application/json" }), `${stem}.annotations.json`);
  }
}
