// Browsers start no workers for pages that are opened as files. There the site's search runs in a
// hidden frame instead; the theme asks for a file of this name, and fetches one if there is none.
"use strict";

class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    this.scope = frame.contentWindow;
    // What a worker has and a frame has not.
    this.scope.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    this.scope.importScripts = async (...urls) => {
      for (const each of urls) await this.load(each);
    };
    this.ready = this.load(url);
  }

  load(url) {
    return new Promise((resolve, reject) => {
      const script = this.scope.document.createElement("script");
      script.src = new URL(url, location.href).href;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot load ${url}`));
      this.scope.document.body.append(script);
    });
  }

  async postMessage(data) {
    await this.ready;
    this.scope.dispatchEvent(new this.scope.MessageEvent("message", { data: structuredClone(data) }));
  }
}

if (location.protocol === "file:") window.Worker = FrameWorker;
