"use strict";
/* The duty desk in the browser: clocks that run, a board that stays live and says when it is not, a sound that calls. */
(() => {
  const body = document.body, data = body.dataset;
  const byId = (id) => document.getElementById(id);
  const skew = Date.parse(data.now) - Date.now();
  const zone = (data.now || "").slice(19);
  const now = () => Date.now() + skew;

  /* The gateway's own time of day, whatever this computer's clock and zone say. */
  const shown = (at) => {
    const sign = zone[0] === "-" ? -1 : 1;
    const offset = /^[+-]\d\d:\d\d$/.test(zone) ? sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))) : 0;
    return new Date(at + offset * 60000).toISOString().slice(11, 16);
  };

  const run = () => {
    if (byId("time") && data.now) byId("time").textContent = shown(now());
    for (const one of document.querySelectorAll("time[data-due]")) {
      const left = Date.parse(one.dataset.due) - now(), late = left < 0;
      const text = (late ? data.late : data.left).replace("{n}", String(Math.floor(Math.abs(left) / 60000)));
      if (one.textContent !== text) one.textContent = text;
      const box = one.parentElement, sign = box.querySelector("i");
      if (!box.closest(".board")) continue;
      const name = late ? "late" : left <= Number(data.soon) * 60000 ? "near" : "run";
      box.className = name;
      if (sign) sign.textContent = { late: "✕", near: "!", run: "" }[name];
    }
  };
  run();
  setInterval(run, 1000);

  for (const one of document.querySelectorAll("[data-print]")) one.addEventListener("click", () => print());

  /* A select or a text that was changed makes what was foreseen out of date: it must be looked at again. */
  const act = document.querySelector("form.act");
  if (act) act.addEventListener("input", () => { for (const one of act.querySelectorAll('button[value="do"]')) one.disabled = true; });

  /* A file that is chosen becomes the text of a field; spreadsheets here write UTF-8 or GB18030. */
  for (const one of document.querySelectorAll("input[type=file][data-into]")) one.addEventListener("change", () => {
    if (!one.files.length) return;
    one.files[0].arrayBuffer().then((bytes) => {
      let text;
      try { text = new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch (fault) { text = new TextDecoder("gb18030").decode(bytes); }
      byId(one.dataset.into).value = text;
    });
  });

  /* The pages of a fax are turned by the arrow keys where they have a page of their own. */
  if (document.querySelector(".wide-leaf")) addEventListener("keydown", (event) => {
    const rel = { ArrowRight: "next", ArrowLeft: "prev" }[event.key];
    const link = rel && !event.altKey && !event.ctrlKey && !event.metaKey && document.querySelector(`.wide-leaf a[rel=${rel}]`);
    if (link) { event.preventDefault(); location.assign(link.href); }
  });

  const phone = byId("form");
  if (phone) {
    phone.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) phone.requestSubmit(byId("hand")); });
    /* Somebody who types must know when nothing is kept any more. */
    const kept = (is) => { byId("unkept").hidden = is; };
    addEventListener("htmx:afterRequest", (event) => kept(event.detail.successful));
    addEventListener("htmx:sendError", () => kept(false));
  }

  if (!data.stream) return;

  let version = data.version, heard = Date.now(), unheld = [], known = null, fetching = false, again = false;
  const title = document.title;

  /* Sound: two tones, made here. Browsers allow it after a key or a button was pressed on the page. */
  let audio = null;
  const wanted = () => localStorage.getItem("sound") === "on";
  const allowed = () => audio && audio.state === "running";
  const ready = () => {
    const Kind = window.AudioContext || window.webkitAudioContext;
    if (!Kind) { byId("soundless").hidden = false; return Promise.resolve(false); }
    audio = audio || new Kind();
    return audio.resume().then(() => allowed(), () => false);
  };
  const sound = () => {
    if (!allowed()) return;
    [660, 880, 660].forEach((pitch, place) => {
      const tone = audio.createOscillator(), level = audio.createGain(), at = audio.currentTime + place * 0.28;
      tone.frequency.value = pitch;
      level.gain.setValueAtTime(0.25, at);
      level.gain.exponentialRampToValueAtTime(0.001, at + 0.26);
      tone.connect(level).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.27);
    });
    body.dataset.sounded = String(Number(body.dataset.sounded || 0) + 1);
  };
  const told = () => {
    const button = byId("sound"), on = wanted() && allowed();
    button.setAttribute("aria-pressed", on ? "true" : "false");
    button.textContent = on ? button.dataset.on : button.dataset.off;
  };
  byId("sound").addEventListener("click", () => {
    const on = wanted() && allowed();
    localStorage.setItem("sound", on ? "off" : "on");
    ready().then(() => { told(); if (!on) sound(); });
  });
  byId("try").addEventListener("click", () => ready().then(() => { sound(); told(); }));
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { if (wanted() && !allowed()) ready().then(told); });
  if (wanted()) ready().then(told);
  told();
  setInterval(() => { if (wanted() && unheld.length) sound(); }, Number(data.sound) * 1000);

  const announce = () => {
    document.title = unheld.length ? `(${unheld.length}) ${data.unheld} · ${title}` : title;
    if (navigator.setAppBadge) (unheld.length ? navigator.setAppBadge(unheld.length) : navigator.clearAppBadge()).catch(() => {});
    const fresh = known === null ? [] : unheld.filter((one) => !known.has(one));
    known = new Set(unheld);
    if (!fresh.length) return;
    byId("news").textContent = byId("news").dataset.text.replace("{numbers}", fresh.join(" "));
    if (wanted()) sound();
  };

  const stale = (is) => {
    if (is) byId("heard").textContent = shown(heard + skew);
    byId("stale").hidden = !is;
    body.classList.toggle("is-stale", is);
  };
  setInterval(() => stale(Date.now() - heard > Number(data.stale) * 1000), 1000);

  /* Only the lines are fetched; who is going through them with the keyboard stays where he is. */
  const fetchLines = () => {
    if (fetching) { again = true; return; }
    fetching = true;
    const at = document.activeElement && document.activeElement.id;
    htmx.ajax("GET", data.lines, { target: "#board", swap: "innerHTML" }).then(() => {
      if (at && byId(at)) byId(at).focus({ preventScroll: true });
      run();
    }).finally(() => { fetching = false; if (again) { again = false; fetchLines(); } });
  };

  const take = (event) => {
    const found = JSON.parse(event.data);
    heard = Date.now();
    stale(false);
    unheld = found.unheld;
    announce();
    if (found.version !== version) { version = found.version; fetchLines(); }
  };
  const source = () => {
    const made = new EventSource(data.stream);
    made.addEventListener("board", take);
    made.addEventListener("beat", take);
    made.addEventListener("bye", () => { made.close(); location.assign("/signin"); });
    /* A browser gives up for good where it was refused; the gateway may only have been starting. */
    made.addEventListener("error", () => { if (made.readyState === EventSource.CLOSED) setTimeout(source, 5000); });
  };
  source();

  addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const lines = [...document.querySelectorAll("a.line")], at = lines.indexOf(document.activeElement);
    if (!lines.length || (at < 0 && document.activeElement !== body && document.activeElement !== byId("main"))) return;
    event.preventDefault();
    lines[Math.max(0, Math.min(lines.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))].focus();
  });
})();
