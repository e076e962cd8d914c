// What surrounds every page: the state of the connection, its banner, and the button for the keys.

import { byId, h } from "./dom.js";
import { showKeys } from "./keys.js";
import { onConnection } from "./live.js";

const banner = byId("lost");
const light = byId("connection");

onConnection(({ state, since, reason }) => {
  light.hidden = false;
  light.dataset.state = state;
  light.textContent = state === "live" ? "live" : "not connected";
  light.title = state === "live" ? "What happens is shown as it happens" : `Since ${since.toLocaleTimeString()}`;
  banner.hidden = state === "live";
  if (state === "live") banner.replaceChildren();
  else banner.replaceChildren(...words(since, reason));
});

byId("keys").addEventListener("click", showKeys);
byId("keys").hidden = false;

function words(since, reason) {
  if (reason === "session") {
    return ["Your session has ended; what you see is older. Run ", h("code", {}, "supernaut open"),
      " on the machine where the server runs, and open its link in another tab: this page then goes on."];
  }
  return [`The server has not answered since ${since.toLocaleTimeString()}; what you see is older. Trying again.`];
}
