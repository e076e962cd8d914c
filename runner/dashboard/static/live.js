// Keeps the page of a running study up to date.  Without it the page is complete, as of when it was loaded.
// It replaces the content only while nobody reads with the keyboard or selects text in it, and keeps every scroll.
"use strict";

const PAUSE_MS = 5000;

function inUse(main) {
  const selection = document.getSelection();
  const selecting = selection && !selection.isCollapsed && main.contains(selection.anchorNode);
  return selecting || (document.activeElement !== main && main.contains(document.activeElement));
}

function say(words) {
  let banner = document.getElementById("stale");
  if (!words) {
    banner?.remove();
    return;
  }
  if (!banner) {
    banner = document.createElement("p");
    banner.id = "stale";
    banner.setAttribute("role", "status");
    document.querySelector("header").after(banner);
  }
  if (banner.textContent !== words) banner.textContent = words;
}

async function refresh() {
  const main = document.getElementById("main");
  if (document.hidden || inUse(main)) return true;
  const answer = await fetch(location.href, { cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = fresh.getElementById("main");
  if (!inUse(main) && content.innerHTML !== main.innerHTML) {
    const scrolled = [...main.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    main.replaceChildren(...content.childNodes);
    main.querySelectorAll(".scroll").forEach((box, index) => { box.scrollLeft = scrolled[index] ?? 0; });
  }
  return fresh.querySelector('script[src="/static/live.js"]') !== null;
}

async function follow() {
  let since = null;
  for (let running = true; running;) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    try {
      running = await refresh();
      since = null;
      say("");
    } catch {
      since = since ?? new Date();
      say(`The server has not answered since ${since.toLocaleTimeString()}; what you see is older. Trying again.`);
    }
  }
}

follow();
