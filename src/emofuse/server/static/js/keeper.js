// Where the edits of a result are kept: on the server, one after the other, so that nobody's are lost.
import * as api from "./api.js";
import { authorOf, setAuthor } from "../viewer/keeper.js";
import { plural } from "../viewer/format.js";

const AGAIN = 4000; // milliseconds until a server that does not answer is asked again

export class ServerKeeper {
  constructor(id, { edits, etag }) {
    Object.assign(this, { id, edits, etag, waiting: [] });
    this.where = "Kept on the server as you go; the downloads have it, too. The machine's own result stays as it was found.";
  }

  get author() { return authorOf(); }
  set author(name) { setAuthor(name); }

  onchange(told) { this.told = told; }

  add(edit) {
    this.waiting.push(edit);
    return this.flush();
  }

  async flush() {
    if (this.busy) return;
    this.busy = true;
    let why = "";
    while (this.waiting.length) {
      const batch = [...this.waiting];
      try {
        this.hold(await api.annotate(this.id, batch, this.etag), batch.length);
      } catch (error) {
        if (error.status === 412) why = await this.catchUp();
        else if (error.status >= 400 && error.status < 500 && error.status !== 429) {
          this.waiting = [];
          this.told(this.edits, `Not kept: ${error.message}`);
        } else {
          this.told([...this.edits, ...this.waiting], `Not kept yet: ${error.message} It is tried again.`);
          await new Promise((done) => { setTimeout(done, AGAIN); });
          if (this.closed) break;
        }
      }
    }
    this.busy = false;
    if (why) this.told(this.edits, why);
  }

  hold({ edits, etag }, sent) {
    Object.assign(this, { edits, etag });
    this.waiting.splice(0, sent);
  }

  /** Somebody else was faster: take theirs, then ours once more. */
  async catchUp() {
    const known = new Set(this.edits.map((edit) => edit.id)), now = await api.annotations(this.id);
    const theirs = now.edits.filter((edit) => !known.has(edit.id)).length;
    this.hold(now, 0);
    return `Somebody else edited this result at the same time: ${plural(theirs, "edit")} of theirs came before yours. Nothing was lost; look whether it still fits.`;
  }

  close() { this.closed = true; }
}
