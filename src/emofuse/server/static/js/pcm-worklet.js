// Runs beside the page: cuts the microphone's sound into pieces of 16-bit samples.
const SECONDS = 0.1;

class Pcm extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Int16Array(Math.round(sampleRate * SECONDS));
    this.filled = 0;
  }

  process([channels]) {
    const count = channels.length ? channels[0].length : 128; // no input: silence
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      const v = Math.max(-1, Math.min(1, sum / (channels.length || 1)));
      this.piece[this.filled++] = v * (v < 0 ? 32768 : 32767);
      if (this.filled === this.piece.length) this.send(currentFrame + i + 1);
    }
    return true;
  }

  /** `end` is the number of the sample after the last one: the sound's own clock. */
  send(end) {
    const start = (end - this.piece.length) / sampleRate;
    this.port.postMessage({ samples: this.piece, start }, [this.piece.buffer]);
    this.piece = new Int16Array(Math.round(sampleRate * SECONDS));
    this.filled = 0;
  }
}

registerProcessor("pcm", Pcm);
