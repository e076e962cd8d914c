// Which point lies nearest to the pointer: rows in the cells of a grid over the laid-out values.

const CELLS = 128; // along each axis

/** `rows` with places in `xs` and `ys`; returns find(x, y, factorX, factorY, reach): the row nearest to a laid-out
 *  place, measured in pixels by the factors, or -1 where none is within `reach` pixels. */
export function createNearest(rows, xs, ys, domainX, domainY) {
  const cell = (value, [low, high]) =>
    Math.min(Math.max(Math.floor((CELLS * (value - low)) / (high - low)), 0), CELLS - 1);
  const starts = new Uint32Array(CELLS * CELLS + 1);
  const cells = new Uint32Array(rows.length);
  for (let place = 0; place < rows.length; place += 1) {
    cells[place] = cell(ys[rows[place]], domainY) * CELLS + cell(xs[rows[place]], domainX);
    starts[cells[place] + 1] += 1;
  }
  for (let each = 0; each < CELLS * CELLS; each += 1) starts[each + 1] += starts[each];
  const next = starts.slice();
  const ordered = new Uint32Array(rows.length);
  for (let place = 0; place < rows.length; place += 1) ordered[next[cells[place]]++] = rows[place];

  return function find(x, y, factorX, factorY, reach) {
    const [awayX, awayY] = [Math.abs(reach / factorX), Math.abs(reach / factorY)];
    const [left, right] = [cell(x - awayX, domainX), cell(x + awayX, domainX)];
    const [low, high] = [cell(y - awayY, domainY), cell(y + awayY, domainY)];
    let [best, distance] = [-1, reach];
    for (let line = low; line <= high; line += 1) {
      for (let at = starts[line * CELLS + left]; at < starts[line * CELLS + right + 1]; at += 1) {
        const row = ordered[at];
        const away = Math.hypot((xs[row] - x) * factorX, (ys[row] - y) * factorY);
        if (away <= distance) [best, distance] = [row, away];
      }
    }
    return best;
  };
}
