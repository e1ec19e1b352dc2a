// Plays all versions of a file at once and lets one be heard: a switch keeps the position to the
// sample, and a ramp of 10 ms keeps it free of clicks.

const RAMP_SECONDS = 0.01;
const START_SECONDS = 0.02; // ahead, so that all versions start together

class Player {
  constructor(onChange) {
    this.onChange = onChange;
    this.context = null;
    this.load([]);
  }

  // Versions are { audio, seconds }; nothing is decoded before the first play.
  load(versions) {
    this.stop();
    this.versions = versions;
    this.buffers = null;
    this.duration = Math.max(0, ...versions.map(({ seconds }) => seconds));
    this.offset = 0;
    this.heard = 0;
    this.setState("paused");
  }

  setState(state) {
    this.state = state;
    this.onChange();
  }

  get position() {
    if (this.state !== "playing") return this.offset;
    return Math.min(this.duration, Math.max(this.offset, this.context.currentTime - this.startedAt));
  }

  toggle() {
    return this.state === "playing" ? this.pause() : this.play();
  }

  async play() {
    if (this.state === "playing" || this.state === "loading" || !this.versions.length) return;
    const versions = this.versions;
    this.setState("loading");
    try {
      this.context ??= new AudioContext();
      await this.context.resume();
      const buffers = this.buffers ?? await Promise.all(versions.map(({ audio }) => this.decode(audio)));
      if (versions !== this.versions) return; // another file was chosen meanwhile
      this.buffers = buffers;
      this.start();
    } catch (failure) {
      if (versions === this.versions) this.setState("failed");
    }
  }

  decode(uri) {
    const bytes = Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
    return this.context.decodeAudioData(bytes.buffer);
  }

  start() {
    const begin = this.context.currentTime + START_SECONDS;
    if (this.offset >= this.duration) this.offset = 0;
    this.startedAt = begin - this.offset;
    this.voices = this.buffers.map((buffer, place) => this.voice(buffer, place === this.heard ? 1 : 0));
    this.voices.forEach(({ source }) => source.start(begin, this.offset));
    this.setState("playing");
    this.watchEnd();
  }

  voice(buffer, volume) {
    const source = new AudioBufferSourceNode(this.context, { buffer });
    const gain = new GainNode(this.context, { gain: volume });
    source.connect(gain).connect(this.context.destination);
    return { source, gain };
  }

  watchEnd() {
    const voices = this.voices;
    const tick = () => {
      if (voices !== this.voices) return;
      if (this.context.currentTime - this.startedAt >= this.duration) return this.end();
      this.onChange();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  end() {
    this.stop();
    this.offset = 0;
    this.setState("paused");
  }

  stop() {
    this.voices?.forEach(({ source }) => source.stop());
    this.voices = null;
  }

  pause() {
    this.offset = this.position;
    this.stop();
    this.setState("paused");
  }

  seek(seconds) {
    const wasPlaying = this.state === "playing";
    this.stop();
    this.offset = Math.min(Math.max(0, seconds), this.duration);
    if (wasPlaying) this.start();
    else this.onChange();
  }

  choose(place) {
    this.heard = place;
    const now = this.context?.currentTime ?? 0;
    this.voices?.forEach(({ gain }, other) => gain.gain.setTargetAtTime(other === place ? 1 : 0, now, RAMP_SECONDS / 3));
    this.onChange();
  }
}
