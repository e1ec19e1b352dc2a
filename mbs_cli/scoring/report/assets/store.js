// What the reader has chosen, and who wants to know when it changes.

class Store {
  constructor(state) {
    this.state = state;
    this.watchers = [];
  }

  // Calls `watcher` now, and again whenever one of `keys` changes.
  watch(keys, watcher) {
    this.watchers.push({ keys, watcher });
    watcher(this.state);
  }

  set(changes) {
    const changed = Object.keys(changes).filter((key) => changes[key] !== this.state[key]);
    Object.assign(this.state, changes);
    for (const { keys, watcher } of this.watchers) {
      if (keys.some((key) => changed.includes(key))) watcher(this.state);
    }
  }
}
