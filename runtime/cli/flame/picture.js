var frames = Array.from(document.querySelectorAll("g"));
function label(g, width) {
  var name = g.querySelector("title").textContent.replace(/ \([^(]*\)$/, "");
  var room = Math.floor((width - 6) / 7);
  g.querySelector("text").textContent =
    room < 3 ? "" : name.length <= room ? name : name.slice(0, room - 2) + "..";
}
// What is clicked gets the whole width, with all that stands on it; what it stands on stays.
function zoom(to) {
  var x0 = +to.dataset.x, w0 = +to.dataset.w, d0 = +to.dataset.d, e = 1e-6;
  frames.forEach(function (g) {
    var x = +g.dataset.x, w = +g.dataset.w, d = +g.dataset.d;
    var below = d < d0 && x <= x0 + e && x + w >= x0 + w0 - e;
    var above = d >= d0 && x >= x0 - e && x + w <= x0 + w0 + e;
    var left = below ? 10 : 10 + (x - x0) / w0 * 1180, width = below ? 1180 : w / w0 * 1180;
    g.style.display = below || above ? "" : "none";
    g.style.opacity = below ? 0.5 : 1;
    g.querySelector("rect").setAttribute("x", left);
    g.querySelector("rect").setAttribute("width", width);
    g.querySelector("text").setAttribute("x", left + 3);
    label(g, width);
  });
}
function search() {
  var wanted = prompt("Search for functions (a regular expression):");
  if (wanted === null) return;
  var pattern = wanted && new RegExp(wanted);
  frames.forEach(function (g) {
    var hit = pattern && pattern.test(g.querySelector("title").textContent);
    g.querySelector("rect").style.fill = hit ? "rgb(230,0,230)" : "";
  });
}
frames.forEach(function (g) { g.addEventListener("click", function () { zoom(g); }); });
document.getElementById("search").addEventListener("click", search);
addEventListener("keydown", function (event) {
  if (event.key === "/" || event.ctrlKey && event.key === "f") { event.preventDefault(); search(); }
});
