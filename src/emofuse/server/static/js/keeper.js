// Where the edits of a result are kept: on the server, one after the other, so that nobody's are lost.
import * as api from "./api.js";
import { authorOf, memory, setAuthor } from "../viewer/keeper.js";
import { plural } from "../viewer/format.js";

const AGAIN = 4000; // milliseconds until a server that does not answer is asked again
const REFUSED = [404, 413, 422]; // statuses of edits that will never be taken

export class ServerKeeper {
  constructor(id, { edits, etag }) {
    Object.assign(this, { id, kept: edits, etag, waiting: [], key: `waiting/${id}` });
    const known = new Set(edits.map((edit) => edit.id));
    try { this.waiting = JSON.parse(memory(this.key) ?? "[]").filter((edit) => !known.has(edit.id)); } catch { /* not ours */ }
    this.where = "Kept on the server as you go; the downloads have it, too. The machine's own result stays as it was found.";
  }

  /** Those that the server has, and those on their way. */
  get edits() { return [...this.kept, ...this.waiting]; }

  get author() { return authorOf(); }
  set author(name) { setAuthor(name); }

  /** Edits that an earlier visit could not bring to the server are brought now. */
  onchange(told) {
    this.told = told;
    this.flush();
  }

  add(edit) {
    this.waiting.push(edit);
    this.remember();
    return this.flush();
  }

  async flush() {
    if (this.busy) return;
    this.busy = true;
    let said = "";
    while (this.waiting.length) {
      try {
        const theirs = await this.send([...this.waiting]);
        if (theirs) said = theirs; else if (said.startsWith("Not")) said = "Kept now.";
      } catch (error) {
        said = REFUSED.includes(error.status) ? `Not kept: ${error.message}` : `Not kept yet: ${error.message} It is tried again.`;
        if (REFUSED.includes(error.status)) { this.waiting = []; this.remember(); }
        this.told(this.edits, said);
        if (!this.waiting.length) { said = ""; break; }
        await new Promise((done) => { setTimeout(done, AGAIN); });
        if (this.closed) break;
      }
    }
    this.busy = false;
    if (said && !this.closed) this.told(this.edits, said);
  }

  /** Bring edits to the server. Returns what is to be told of edits that somebody else made meanwhile. */
  async send(batch) {
    try {
      this.hold(await api.annotate(this.id, batch, this.etag), batch.length);
      return "";
    } catch (error) {
      if (error.status !== 412) throw error;
      return this.catchUp();
    }
  }

  hold({ edits, etag }, sent) {
    Object.assign(this, { kept: edits, etag });
    this.waiting.splice(0, sent);
    this.remember();
  }

  /** Keep in the browser what the server does not have yet. */
  remember() { memory(this.key, JSON.stringify(this.waiting)); }

  /** Somebody else was faster: take theirs, then ours once more. */
  async catchUp() {
    const known = new Set(this.kept.map((edit) => edit.id)), now = await api.annotations(this.id);
    const theirs = now.edits.filter((edit) => !known.has(edit.id)).length;
    this.hold(now, 0);
    return `Somebody else edited this result at the same time: ${plural(theirs, "edit")} of theirs came before yours. Nothing was lost; look whether it still fits.`;
  }

  close() { this.closed = true; }
}
