// What the drawings share: scales, ticks, points, and the point under the pointer.

const TICK_STEPS = [1, 2, 2.5, 5, 10];
const REACH_PIXELS = 14;
const TALLEST_PIXELS = 340;

function ticksBetween(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * TICK_STEPS.find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0));
  const places = Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => (first + place) * step);
  return places.map((value) => ({ value, text: fixed(value, decimals) }));
}

// From the smallest to the largest value with some room at both ends.
function rangeOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const room = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function scale([low, high], from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

// Many points as one path of round strokes: 10,000 of them are one node.
function pointsPath(points, className) {
  const path = points.map(({ x, y }) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");
  return drawing("path", { d: path, class: `points ${className}` });
}

function canvas(host, width, height, label) {
  const drawn = drawing("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  host.replaceChildren(drawn);
  return drawn;
}

function emptyPlot(host) {
  host.replaceChildren(element("p", { class: "quiet" }, "No values to draw."));
}

// Points tell their file when the pointer is near, and open it when clicked.
function makeClickable(host, drawn, points, describe, open) {
  const bubble = element("div", { class: "bubble", hidden: true });
  const ring = drawing("circle", { r: 6, class: "ring", visibility: "hidden" });
  drawn.append(ring);
  host.append(bubble);
  const show = (point) => {
    ring.setAttribute("visibility", point ? "visible" : "hidden");
    bubble.hidden = !point;
    drawn.classList.toggle("pointing", Boolean(point));
    if (!point) return;
    ring.setAttribute("cx", point.x);
    ring.setAttribute("cy", point.y);
    bubble.textContent = describe(point);
    bubble.style.left = `${Math.max(0, Math.min(point.x, host.clientWidth - bubble.offsetWidth))}px`;
    bubble.style.top = `${point.y + 12}px`;
  };
  drawn.addEventListener("pointermove", (event) => show(nearest(drawn, points, event)));
  drawn.addEventListener("pointerleave", () => show(null));
  drawn.addEventListener("click", (event) => {
    const point = nearest(drawn, points, event);
    if (point) open(point);
  });
}

function nearest(drawn, points, event) {
  const box = drawn.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  let [best, closest] = [null, REACH_PIXELS];
  for (const point of points) {
    const distance = Math.hypot(point.x - x, point.y - y);
    if (distance < closest) [best, closest] = [point, distance];
  }
  return best;
}

// Draws again when the room for it changes.
function redrawOnResize(host, draw) {
  let width = host.clientWidth;
  new ResizeObserver(() => {
    if (host.clientWidth === width) return;
    width = host.clientWidth;
    draw();
  }).observe(host);
}
