"use strict";
(() => {
  const data = JSON.parse(document.getElementById("walk-data").textContent);
  const live = document.getElementById("live"), slider = document.getElementById("frame");
  const told = document.getElementById("told"), play = document.getElementById("play");
  const tiles = [...live.querySelectorAll(".tile")], cursors = document.querySelectorAll(".cursor");
  const graphs = document.querySelectorAll(".graph");
  const number = (v, digits) => v === null ? "-" : v.toFixed(digits);
  let timer = null;

  function show(t) {
    const left = 100 * t / Math.max(1, data.last);
    slider.value = t;
    tiles.forEach((tile, b) => {
      const p = data.probability[b][t];
      tile.querySelector(".sprite").style.backgroundPositionX = left + "%";
      tile.querySelector(".e").textContent = number(data.energy[b][t], 2);
      tile.querySelector(".p").textContent = number(p, 3);
      tile.querySelector(".sure i").style.width = 100 * (p || 0) + "%";
    });
    cursors.forEach(line => { line.style.left = left + "%"; line.hidden = false; });
    told.textContent = data.names[t];
    slider.setAttribute("aria-valuetext", data.names[t] + ", image " + t + " of " + data.last);
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ play";
  }

  slider.addEventListener("input", () => { pause(); show(+slider.value); });
  play.addEventListener("click", () => {
    if (timer) return pause();
    if (+slider.value >= data.last) show(0);
    play.textContent = "❚❚ pause";
    timer = setInterval(() => {
      show(+slider.value + 1);
      if (+slider.value >= data.last) pause();
    }, 110);
  });
  tiles.forEach((tile, b) => tile.addEventListener("click", () => {
    const lit = tile.getAttribute("aria-pressed") !== "true";
    tiles.forEach(other => other.setAttribute("aria-pressed", lit && other === tile));
    graphs.forEach(graph => {
      graph.classList.toggle("faded", lit);
      graph.querySelectorAll("path").forEach((path, k) => path.classList.toggle("lit", lit && k === b));
    });
  }));
  graphs.forEach(graph => {
    const seek = event => {
      const box = graph.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      pause();
      show(Math.round(share * data.last));
    };
    graph.addEventListener("pointerdown", seek);
    graph.addEventListener("pointermove", event => { if (event.buttons) seek(event); });
  });

  live.hidden = false;
  document.getElementById("strip").open = false;
  show(data.last);
})();
