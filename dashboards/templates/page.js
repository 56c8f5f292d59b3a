const { commands, ticksOnPhone, ...figures } = JSON.parse(document.getElementById("data").textContent);
const chart = document.getElementById("chart");
const picked = document.getElementById("picked");
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");
const options = {
  displaylogo: false,
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  // plotly's share button would upload the chart to plotly's own site.
  showSendToCloud: false,
  plotlyServerURL: "",
};

function forPhone(layout) {
  layout.xaxis.dtick = ticksOnPhone;
  layout.xaxis.title.text = "trainable parameters";
  layout.font.size = 12;
  layout.margin = { l: 44, r: 8, t: 44, b: 16 };
}

function draw() {
  const { data, layout } = structuredClone(figures[dark.matches ? "dark" : "light"]);
  if (narrow.matches) forPhone(layout);
  return Plotly.react(chart, data, layout, options);
}

function pick({ points: [{ customdata: trial }] }) {
  const command = document.createElement("code");
  command.textContent = commands[trial];
  picked.replaceChildren(`Trial ${trial}: `, command);
}

if (chart) {
  draw().then(() => chart.on("plotly_click", pick));
  for (const query of [dark, narrow]) query.addEventListener("change", draw);
  new ResizeObserver(() => Plotly.Plots.resize(chart)).observe(chart);
}
