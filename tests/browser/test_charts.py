"""The charts in a real browser, by themselves, with made-up data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.charts_page import ADDRESS, serve_charts
from tests.browser.serving import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator

# A scatter of `count` points on the page, and everything that it called back in `window.told`.
DRAWN = """
async ({ count, options = {}, more = {}, mostDrawn }) => {
  const [{ createScatter }, selection, made] = await Promise.all(
    ["/static/charts/scatter.js", "/static/data/selection.js", "/made.js"].map((path) => import(path)));
  window.told = [];
  const data = made.study(count, options);
  const tell = (name) => (value) => window.told.push([name, value]);
  const chart = createScatter(document.getElementById("stage"),
    { onSelect: tell("select"), onFocus: tell("focus"), onPick: tell("pick") }, { mostDrawn });
  chart.update(made.view(data, more));
  Object.assign(window, { chart, data, made, selection });
}
"""


@pytest.fixture(scope="module")
def charts(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that holds nothing but the static files."""
    context = browser.new_context(viewport={"width": 1000, "height": 800}, has_touch=True)
    context.set_default_timeout(10_000)
    context.add_init_script(REPORT)
    serve_charts(context)
    yield context
    context.close()


@pytest.fixture
def page(charts: BrowserContext) -> Iterator[Page]:
    """An empty page; whatever the browser complains about fails the test."""
    page = charts.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.goto(ADDRESS)
    yield page
    assert [*complaints, *page.evaluate("window.violations")] == []
    page.close()


def _draw(page: Page, count: int, **more: Any) -> None:
    page.evaluate(DRAWN, {"count": count, **more})
    expect(page.locator(".chart-note")).to_contain_text("Showing the front")


def _told(page: Page) -> list[Any]:
    found: list[Any] = page.evaluate("window.told.splice(0)")
    return found


def _drag(page: Page, start: tuple[float, float], *stops: tuple[float, float]) -> None:
    """Across the plot, in shares of it."""
    box = page.locator(".chart-plot").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, *stops)]
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


def test_a_selection_comes_back_from_its_text_and_rubbish_does_not(page: Page) -> None:
    found = page.evaluate("""async () => {
      const { selectionOf, read, write, words, EMPTY } = await import("/static/data/selection.js");
      const corners = Array.from({ length: 64 }, (_, place) => [Math.cos(place), -1e-7 * place]);
      const all = selectionOf({
        ranges: { "error*~%2A": [-0.05, 1.5e-9], "__proto": [0, 1] },
        sets: { "a **b": ["", "t*", 4, null, [1, "x"], true] }, lasso: { x: "latency", y: "<b>", corners },
        digests: Array.from({ length: 64 }, (_, n) => (n + 4096).toString(16)),
      });
      const rubbish = ["", "x", "r", "r*a*1", "r*a*2*1", "r*a*1*NaN", "r*a*1*Infinity", "r*a*0x1*2", "r**1*2",
        "r*a*1*2**r*a*1*2", "r*__proto__*1*2", "r*%*1*2", "s*a*x", "s*a*j{", "s*a*j%22t%22", "l*x*y*1*2*3*4",
        `l*x*y*${Array(130).fill(1).join("*")}`, `d*${Array(65).fill("abcd").join("*")}`, "d*ABCD", "d",
        "d*abcd**d*abcd", "a".repeat(7000), "constructor*a", "toString", "r*a*1*2**", 7, null, undefined, {}];
      return {
        same: JSON.stringify(read(write(all))) === JSON.stringify(all), length: write(all).length, empty: write(EMPTY),
        survives: new URLSearchParams(new URLSearchParams({ s: write(all) }).toString()).get("s") === write(all),
        taken: rubbish.filter((text) => read(text) !== undefined),
        words: words(selectionOf({ ranges: { error: [0.05, 0.1] }, sets: { a: ["x", 4] } }), (name) => `the ${name}`,
          () => "fraction"),
        tooMany: write(selectionOf({ digests: Array(65).fill("abcd") })),
      };
    }""")
    assert found["same"]
    assert found["survives"]
    assert found["length"] < 3_000
    assert found["empty"] is None
    assert found["tooMany"] is None
    assert found["taken"] == []
    assert found["words"] == "the error from 5 % to 10 %; the a is x or 4"


def test_the_mask_is_what_fits_everything(page: Page) -> None:
    found = page.evaluate("""async () => {
      const { mask, selectionOf, EMPTY } = await import("/static/data/selection.js");
      const { createStudyData, appended } = await import("/static/data/study_data.js");
      const columns = (first, values, code, choices) => ({
        count: values.length, id: values.map((_, n) => first + n), digest: values.map((_, n) => `d${first + n}`),
        state: values.map(() => "complete"), provenances: ["inherited"],
        fidelity: values.map((_, n) => (first + n === 3 ? "retrained" : "inherited")),
        metrics: {
          a: { value: values, provenance: values.map(() => 0) },
          b: { value: values.map((value) => (value === null ? null : value ** 2)), provenance: values.map(() => 0) },
        },
        choices: { c: { values: choices, code } },
      });
      const metrics = { items: [{ metric: "b", label: "b", unit: "", goal: null, objective: false, at_least: null,
        at_most: 8 }] };
      const first = createStudyData({ columns: columns(1, [0, 1, null, 2], [0, 1, 0, null], ["x", 4]), metrics });
      // What comes later lists its values in another order, and begins with a row that is known.
      const data = appended(first, columns(4, [2, 3], [1, 0], [4, true]));
      const by = (parts) => [...mask(data, selectionOf(parts))].join("");
      return {
        none: mask(data, EMPTY), counts: [first.count, data.count], codes: [...data.choice("c").codes],
        values: data.choice("c").values, plain: [...data.isPlain].join(""), feasible: [...data.isFeasible].join(""),
        range: by({ ranges: { a: [1, 2] } }), set: by({ sets: { c: [4, "x"] } }), both: by({ ranges: { a: [0, 1] },
          sets: { c: [4] } }), nothing: by({ sets: { c: [] } }), unknown: by({ ranges: { z: [0, 1] } }),
        digests: by({ digests: ["d1", "d5"] }), noSuchChoice: by({ sets: { z: ["x"] } }),
        lasso: by({ lasso: { x: "a", y: "b", corners: [[-1, -1], [3.5, -1], [3.5, 10], [1.5, 3], [-1, 2]] } }),
      };
    }""")
    assert found == {
        "none": None,
        "counts": [4, 5],
        "codes": [0, 1, 0, 65535, 1],
        "values": ["x", 4, True],
        "plain": "11011",
        "feasible": "11010",
        "range": "01010",
        "set": "11101",
        "both": "01000",
        "nothing": "00000",
        "unknown": "00000",
        "digests": "10001",
        "noSuchChoice": "00000",
        "lasso": "11010",
    }


def test_a_box_and_a_lasso_select_the_data_under_them(page: Page) -> None:
    _draw(page, 2_000)
    page.get_by_role("button", name="Box", exact=True).click()
    expect(page.get_by_role("button", name="Box", exact=True)).to_have_attribute("aria-pressed", "true")
    _drag(page, (0.3, 0.2), (0.6, 0.7))
    [[kind, part]] = _told(page)
    assert kind == "select"
    shown = page.evaluate("chart.shown()")
    plot, inner = (page.locator(name).bounding_box() for name in (".chart-plot", ".chart-plot canvas"))
    assert plot is not None
    assert inner is not None
    for axis, start, length, ends in (
        ("latency", "x", "width", (0.3, 0.6)),
        ("error", "y", "height", (0.7, 0.2)),
    ):
        low, high = shown[start]
        for end, share in zip(part["ranges"][axis], ends, strict=True):
            place = (plot[start] + share * plot[length] - inner[start]) / inner[length]  # type: ignore[literal-required]
            wanted = low + (high - low) * (place if start == "x" else 1 - place)
            assert end == pytest.approx(wanted, abs=2.5 * (high - low) / inner[length])  # type: ignore[literal-required]

    page.get_by_role("button", name="Lasso").click()
    _drag(page, (0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
    [[kind, part]] = _told(page)
    corners = part["lasso"]["corners"]
    assert 3 <= len(corners) <= 64
    chosen = page.evaluate(
        "(lasso) => selection.mask(data, selection.selectionOf({ lasso })).reduce((a, b) => a + b)", part["lasso"]
    )
    assert 0 < chosen < 1_900
    page.keyboard.press("Tab")
    page.locator(".chart-plot").press("Escape")
    assert _told(page) == [["select", None]]


def test_new_data_and_a_selection_leave_zoom_and_mode_alone(page: Page) -> None:
    _draw(page, 1_000)
    first = page.evaluate("chart.shown()")
    page.locator(".chart-plot").hover()
    page.mouse.wheel(0, -400)
    _drag(page, (0.5, 0.5), (0.6, 0.55))
    page.get_by_role("button", name="Lasso").click()
    moved = page.evaluate("chart.shown()")
    assert moved["x"][1] - moved["x"][0] < 0.8 * (first["x"][1] - first["x"][0])
    kept = page.evaluate("""async () => {
      const { appended, withFront } = await import("/static/data/study_data.js");
      const more = made.documents(500, { first: 1000 });
      const next = withFront(appended(data, more.columns), more.front);
      chart.update(made.view(next, { mask: new Uint8Array(next.count) }));
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      return chart.shown();
    }""")
    assert kept == moved
    expect(page.get_by_role("button", name="Lasso")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".chart-note")).to_contain_text("0 evaluations selected")
    page.get_by_role("button", name="Reset the zoom").click()
    expect(page.get_by_role("button", name="Reset the zoom")).to_be_disabled()


def test_the_front_is_walked_by_keyboard_and_heard(page: Page) -> None:
    _draw(page, 500)
    front = page.evaluate("data.isFront.reduce((a, b) => a + b)")
    plot, spoken = page.locator(".chart-plot"), page.locator("[aria-live]")
    plot.focus()
    plot.press("Enter")
    expect(spoken).to_contain_text("choose a point first")
    for place in range(1, 4):
        plot.press("ArrowRight")
        expect(spoken).to_contain_text(f"Point {place} of {front} ")
    plot.press("End")
    expect(spoken).to_contain_text(f"Point {front} of {front} best test error, on the front: latency on a phone ")
    expect(spoken).to_contain_text("% (inherited, ")
    plot.press("Enter")
    plot.press("p")
    plot.press("Space")
    best = page.evaluate("data.endRows.error")
    assert _told(page) == [["focus", best], ["pick", best], ["pick", best]]
    plot.press("+")
    plot.press("Home")  # far outside of what is shown now
    expect(spoken).to_contain_text(f"Point 1 of {front} best latency")
    expect(page.locator(".chart-cursor")).to_have_count(1)
    plot.press("Tab")
    assert page.evaluate("document.activeElement.className") != "chart-plot"


def test_a_click_opens_the_point_under_it(page: Page) -> None:
    _draw(page, 500)
    place = page.evaluate("""() => {
      const { left, top, width, height } = document.querySelector(".chart-plot canvas").getBoundingClientRect();
      const shown = chart.shown(), row = data.kneeRow;
      const share = (name, [low, high]) => (data.values(name)[row] - low) / (high - low);
      return [left + width * share("latency", shown.x), top + height * (1 - share("error", shown.y))];
    }""")
    page.mouse.move(*place)
    expect(page.locator(".chart-tip")).to_contain_text("knee · on the front")
    expect(page.locator(".chart-tip")).to_contain_text(page.evaluate("data.digests[data.kneeRow]"))
    page.mouse.click(*place)
    page.keyboard.down("Control")
    page.mouse.click(*place)
    page.keyboard.up("Control")
    knee = page.evaluate("data.kneeRow")
    assert _told(page) == [["focus", knee], ["pick", knee]]
    page.touchscreen.tap(*place)
    assert _told(page) == [["focus", knee]]


def test_a_logarithmic_axis_says_what_it_leaves_out(page: Page) -> None:
    page.evaluate(DRAWN, {"count": 200})
    page.evaluate("""() => {
      const { columns, front, metrics } = made.documents(200);
      const value = columns.metrics.latency.value;
      [value[100], value[101], value[102]] = [0, -1, null];
      return import("/static/data/study_data.js").then(({ createStudyData }) =>
        chart.update(made.view(createStudyData({ columns, front, metrics }), { logX: true })));
    }""")
    note = page.locator(".chart-note")
    expect(note).to_contain_text("2 architectures at zero or below left out")
    expect(note).to_contain_text("1 without one of the two numbers")
    expect(note).to_contain_text("4 failed")
    assert page.evaluate("chart.shown().x[0]") > 0


def test_hostile_names_stay_text_and_a_picture_comes_out(page: Page) -> None:
    _draw(page, 300, options={"hostile": True}, more={"colour": "attention", "size": "weights"})
    expect(page.locator(".chart-legend")).to_contain_text("<img src=x")
    page.locator(".chart-plot").press("ArrowRight")
    expect(page.locator("[aria-live]")).to_contain_text("<img src=x")
    page.evaluate("""async () => {
      const { createParallel } = await import("/static/charts/parallel.js");
      const stage = document.createElement("div");
      document.getElementById("main").append(stage);
      createParallel(stage, { onRanges() {}, onSet() {} }).update({ ...made.view(data), selection: selection.EMPTY,
        axes: ["error", "attention"] });
    }""")
    expect(page.locator(".chart-value", has_text="<img src=x")).to_be_visible()
    assert page.locator("img, b").count() == 0
    kind, size = page.evaluate("chart.png().then((blob) => [blob.type, blob.size])")
    assert kind == "image/png"
    assert size > 10_000


def test_axes_select_ranges_by_hand_and_key_and_values_by_button(page: Page) -> None:
    page.evaluate("""async () => {
      const [{ createParallel }, made, selection] = await Promise.all(
        ["/static/charts/parallel.js", "/made.js", "/static/data/selection.js"].map((path) => import(path)));
      const data = made.study(3000);
      window.told = [];
      let now = selection.EMPTY;
      const show = () => chart.update({ ...made.view(data), axes: ["error", "latency", "attention"], selection: now,
        mask: selection.mask(data, now) });
      const change = (group, name, value) => {
        window.told.push([name, value]);
        const next = { ...now[group], [name]: value };
        if (value === null) delete next[name];
        now = selection.selectionOf({ ...now, [group]: next });
        show();
      };
      const chart = createParallel(document.getElementById("stage"),
        { onRanges: (name, range) => change("ranges", name, range), onSet: (name, set) => change("sets", name, set) });
      show();
    }""")
    note = page.locator(".chart-note")
    expect(note).to_contain_text("1,500 of")
    low = page.get_by_role("slider", name="test error, lowest")
    low.focus()
    low.press("ArrowUp")
    low.press("PageUp")
    expect(note).to_contain_text("selected")
    [_, [name, (start, end)]] = _told(page)
    assert name == "error"
    expect(low).to_have_attribute("aria-valuenow", f"{start}".rstrip("0"))  # drawn in the next frame
    assert start < end
    low.press("Escape")
    assert _told(page) == [["error", None]]
    button = page.get_by_role("button", name="linear")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_be_focused()
    button.press("Enter")
    assert _told(page) == [["attention", ["linear"]], ["attention", None]]
    expect(button).to_have_attribute("aria-pressed", "false")  # the axes are built anew with it
    axis = page.get_by_role("group", name="latency on a phone").bounding_box()
    assert axis is not None
    page.mouse.move(axis["x"] + 14, axis["y"] + 80)
    page.mouse.down()
    page.mouse.move(axis["x"] + 14, axis["y"] + 180, steps=4)
    page.mouse.up()
    name, (start, end) = _told(page)[-1]
    assert name == "latency"
    assert start < end
    page.get_by_role("button", name="Move latency on a phone (ms) to the left").click()
    expect(page.locator(".chart-head-name").first).to_have_text("latency on a phone (ms)")


def test_fewer_points_than_there_are_is_said(page: Page) -> None:
    _draw(page, 4_000, mostDrawn=500)
    front, others = (
        page.evaluate("""() => [data.isFront.reduce((a, b) => a + b), data.isPlain.reduce((sum, plain, row) =>
      sum + (plain && data.isFeasible[row] && !data.isFront[row] ? 1 : 0), 0)]""")
    )
    expect(page.locator(".chart-note")).to_contain_text(f"Showing the front ({front}) and 500 of {others:,} others")


def test_a_hundred_thousand_points_follow_the_hand(page: Page) -> None:
    """On a quiet core without a graphics card 17 ms a frame and 50 ms for a box; the bounds are for one that is not."""
    _draw(page, 100_000)
    page.locator(".chart-plot").hover()
    page.mouse.wheel(0, -300)
    times = page.evaluate("""async () => {
      const plot = document.querySelector(".chart-plot");
      const { left, top } = plot.getBoundingClientRect();
      plot.setPointerCapture = () => {};
      const hand = (kind, x, y, more = {}) => plot.dispatchEvent(new PointerEvent(kind, { pointerId: 1, button: 0,
        clientX: left + x, clientY: top + y, ...more }));
      const painted = () => new Promise((done) => requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = done;
        channel.port2.postMessage(0);
      }));
      const frames = [];
      hand("pointerdown", 300, 200);
      for (let step = 1; step <= 60; step += 1) {
        const start = performance.now();
        hand("pointermove", 300 + 3 * step, 200 + step);
        await painted();
        frames.push(performance.now() - start);
      }
      hand("pointerup", 480, 260);
      const start = performance.now();
      hand("pointerdown", 200, 100, { shiftKey: true });
      hand("pointermove", 500, 300, { shiftKey: true });
      hand("pointerup", 500, 300, { shiftKey: true });
      const mask = selection.mask(data, selection.selectionOf(told.at(-1)[1]));
      chart.update(made.view(data, { mask }));
      await painted();
      return { frame: frames.sort((a, b) => a - b)[30], brush: performance.now() - start };
    }""")
    assert times["frame"] < 150, times
    assert times["brush"] < 1_000, times
