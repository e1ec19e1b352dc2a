// The image of one version with its axes, and a line where the player is.

const TICK_HERTZ = [0.25, 0.5, 0.75, 1];

// `longest` is the duration that the full width stands for, so that versions lie above each other.
function spectrogram(version, longest, onPoint) {
  const line = element("div", { class: "playhead" });
  const image = element("img", { src: version.image, alt: `spectrogram of ${version.label}`, draggable: "false" });
  const area = element("div", { class: "area" }, image, line);
  image.style.width = `${(100 * version.seconds) / longest}%`;
  area.addEventListener("click", (event) => {
    const box = area.getBoundingClientRect();
    onPoint(((event.clientX - box.left) / box.width) * longest);
  });
  const node = element("div", { class: "spectrogram" }, frequencyAxis(version.rateHz), area, timeAxis(longest));
  return { node, move: (seconds) => { line.style.left = `${(100 * seconds) / longest}%`; } };
}

function frequencyAxis(rateHz) {
  const labels = TICK_HERTZ.map((share) => {
    const kilohertz = (rateHz / 2000) * share;
    const label = element("span", {}, share === 1 ? `${trimmed(kilohertz)} kHz` : trimmed(kilohertz));
    label.style.bottom = `${share * 100}%`;
    return label;
  });
  return element("div", { class: "frequencies", "aria-hidden": "true" }, labels);
}

function timeAxis(longest) {
  const ticks = ticksBetween(0, longest, 6).filter(({ value }) => value > 0 && value < longest * 0.96);
  const labels = ticks.map(({ value, text }) => {
    const label = element("span", {}, `${text} s`);
    label.style.left = `${(100 * value) / longest}%`;
    return label;
  });
  return element("div", { class: "times", "aria-hidden": "true" }, labels);
}

function trimmed(value) {
  return String(Number(value.toFixed(2)));
}
