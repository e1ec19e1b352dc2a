// The chosen file: one transport for all its versions, their spectrograms, and all its scores.

class Listening {
  constructor(store) {
    this.store = store;
    this.host = byId("player");
    this.versions = [];
    this.player = new Player(() => this.follow());
    store.watch(["file"], ({ file }) => this.show(file));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  show(file) {
    this.parts = null;
    if (file === null) return;
    const media = file.clip === null ? null : JSON.parse(byId(`clip-${file.clip}`).textContent);
    this.versions = (media?.versions ?? []).filter((version) => version.audio);
    this.player.load(this.versions);
    this.host.replaceChildren(
      element("h3", { tabindex: "-1", id: "open-file" }, file.name),
      element("p", { class: "quiet small" }, factsOf(file, this.versions)),
      ...(this.versions.length ? this.soundParts(media) : [noSoundNote(media)]),
      ...failureNotes(media),
      fileScores(file),
    );
    this.follow();
  }

  soundParts(media) {
    const longest = this.player.duration;
    const pictures = this.versions.map((version, place) => spectrogram(version, longest, (seconds) => this.point(place, seconds)));
    this.parts = {
      pictures,
      play: button({ class: "play", onclick: () => this.player.toggle() }),
      clock: element("output", { class: "clock" }),
      slider: element("input", {
        type: "range", min: 0, max: longest, step: 0.01, class: "seek", "aria-label": "Position",
        oninput: (event) => this.player.seek(Number(event.target.value)),
      }),
      choices: this.versions.map((version, place) => this.choice(version, place)),
      cards: this.versions.map((version, place) => this.card(version, place, pictures[place])),
      trouble: element("p", { class: "warning", hidden: true }, "This browser cannot play the sounds of this page (FLAC)."),
    };
    const { play, clock, slider, choices, cards, trouble } = this.parts;
    return [
      element("div", { class: "transport" }, play, slider, clock),
      element("div", { class: "versions", role: "group", "aria-label": "Version to hear" }, choices),
      trouble,
      element("div", { class: cards.length % 3 ? "spectrograms" : "spectrograms by-three" }, cards),
      legend(media.rangeDb),
    ];
  }

  choice(version, place) {
    return button({ onclick: () => this.choose(place) },
      element("kbd", { "aria-hidden": "true" }, String(place + 1)),
      element("span", { class: `system ${systemClass(version.system)}` }, version.label));
  }

  card(version, place, picture) {
    return element("figure", { class: systemClass(version.system) },
      element("figcaption", {}, element("span", { class: `system ${systemClass(version.system)}` }, version.label)),
      picture.node);
  }

  choose(place) {
    if (place < this.versions.length) this.player.choose(place);
  }

  // The version that a system made, if the page carries it.
  chooseSystem(system) {
    const place = this.versions.findIndex((version) => version.system === system);
    if (place >= 0) this.choose(place);
  }

  point(place, seconds) {
    this.choose(place);
    this.player.seek(seconds);
  }

  // Brings everything in line with the player.
  follow() {
    if (!this.parts) return;
    const { pictures, play, clock, slider, choices, cards, trouble } = this.parts;
    const { state, position, duration, heard } = this.player;
    this.host.dataset.state = state;
    play.textContent = state === "playing" ? "Pause" : "Play";
    clock.textContent = `${formatClock(position)} / ${formatClock(duration)}`;
    slider.value = position;
    slider.setAttribute("aria-valuetext", `${fixed(position, 1)} seconds`);
    pictures.forEach(({ move }) => move(position));
    choices.forEach((choice, place) => choice.setAttribute("aria-pressed", place === heard));
    cards.forEach((card, place) => card.classList.toggle("heard-now", place === heard));
    trouble.hidden = state !== "failed";
  }

  key(event) {
    const isTyping = event.target.matches("input[type=search], select, textarea");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !this.parts) return;
    if (/^[1-9]$/.test(event.key)) this.choose(Number(event.key) - 1);
    if (event.key === " " && !event.target.matches("button, input, summary")) {
      event.preventDefault();
      this.player.toggle();
    }
  }
}

function factsOf(file, versions) {
  const longest = Math.max(0, ...versions.map(({ fileSeconds }) => fileSeconds));
  const heard = Math.max(0, ...versions.map(({ seconds }) => seconds));
  const facts = [];
  if (durationOf(file) !== null || longest) facts.push(`${fixed(durationOf(file) ?? longest, 2)} s`);
  if (heard < longest - 0.01) facts.push(`the first ${fixed(heard, 0)} s are on this page`);
  file.results.forEach((result, system) => {
    if (!result?.lagSamples) return;
    const done = result.isAligned ? ", taken out" : "";
    facts.push(`${report.systems[system].name} lags by ${plural(result.lagSamples, "sample")}${done}`);
  });
  if (versions.length > 1) facts.push(`keys 1 to ${versions.length} switch, space plays`);
  return facts.join(" \u00b7 ");
}

function noSoundNote(media) {
  const text = media === null ? "The page does not carry this file's sound; files with a note sign have it." : "None of this file's versions can be heard.";
  return element("p", { class: "quiet" }, text);
}

function failureNotes(media) {
  const failed = (media?.versions ?? []).filter((version) => version.failure);
  return failed.map(({ label, failure }) => element("p", { class: "warning" }, `${label}: ${failure}`));
}

function legend(rangeDb) {
  return element("p", { class: "legend quiet small" },
    `${MINUS}${rangeDb} dB`, element("span", { class: "ramp", "aria-hidden": "true" }), "0 dB, the loudest point of all versions");
}

function fileScores(file) {
  if (!report.metrics.length) return null;
  const head = element("tr", {}, element("th", { scope: "col" }, "Metric"),
    report.systems.map(({ name }, place) => element("th", { scope: "col", class: "figure" }, systemLabel(place, name))));
  const rows = report.metrics.map((_, metric) => element("tr", {},
    element("th", { scope: "row" }, metricName(metric)),
    report.systems.map((_, system) => valueCell(file, system, metric))));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores of this file" },
    element("table", { class: "file-scores" }, element("thead", {}, head), element("tbody", {}, rows)), reasonsOf(file));
}

function reasonsOf(file) {
  const reasons = file.results.flatMap((result, system) => (result?.reasons ?? [])
    .filter((reason) => reason)
    .map((reason) => `${report.systems[system].name}: ${reason}`));
  return [...new Set(reasons)].map((reason) => element("p", { class: "quiet small" }, `${NOT_APPLICABLE}: ${reason}`));
}
