// Which part of the plane a scatter shows.  It owns zoom and place, which outlive new data and end with another axis.

const SMALLEST = 1e-6; // of the whole axis
const LARGEST = 1.1;

/** The part that is shown, per axis in laid-out values: {first, whole} come from the scene. */
export function createWindow() {
  let keys = {};
  let reach = null;
  const own = { x: null, y: null };

  /** The scene's reach and the keys of the axes: another key forgets the zoom of that axis. */
  function follow(domain, nextKeys) {
    for (const axis of ["x", "y"]) if (keys[axis] !== nextKeys[axis]) own[axis] = null;
    [keys, reach] = [nextKeys, domain];
  }

  function domain(axis) {
    return own[axis] ?? reach[axis].first;
  }

  function limits(axis) {
    const { first, whole } = reach[axis];
    return [Math.min(first[0], whole[0]), Math.max(first[1], whole[1])];
  }

  /** Zoom about a place, which stays where it is; `at` {x, y} laid-out. */
  function zoom(factor, at) {
    for (const axis of ["x", "y"]) {
      const [low, high] = domain(axis);
      const [start, end] = limits(axis);
      const whole = (end - start) * LARGEST;
      const length = Math.min(Math.max((high - low) / factor, whole * SMALLEST), Math.max(whole, high - low));
      const share = (at[axis] - low) / (high - low);
      move(axis, at[axis] - share * length, length);
    }
  }

  /** Move by laid-out lengths. */
  function pan(by) {
    for (const axis of ["x", "y"]) {
      const [low, high] = domain(axis);
      move(axis, low + by[axis], high - low);
    }
  }

  /** Bring a place into the picture, in its middle where it was outside. */
  function reveal(at) {
    for (const axis of ["x", "y"]) {
      const [low, high] = domain(axis);
      if (at[axis] < low || at[axis] > high) move(axis, at[axis] - (high - low) / 2, high - low);
    }
  }

  function move(axis, low, length) {
    const [start, end] = limits(axis);
    // A picture of nothing but emptiness would be hard to find back from.
    const lowest = Math.min(Math.max(low, start - 0.8 * length), end - 0.2 * length);
    own[axis] = [lowest, lowest + length];
  }

  /** Whether there is nothing more to see outside. */
  function isWhole() {
    return ["x", "y"].every((axis) => {
      const [[low, high], [start, end]] = [domain(axis), limits(axis)];
      return high - low >= (end - start) * 0.999;
    });
  }

  function reset() {
    own.x = own.y = null;
  }

  return { follow, domain, zoom, pan, reveal, reset, isWhole, isOwn: () => own.x !== null || own.y !== null };
}
