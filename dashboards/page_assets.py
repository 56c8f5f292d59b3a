"""The page's frame, style sheet and script. Colours repeat `palette.THEMES`; a test compares them."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --text: #1a1f26; --muted: #566070; --line: #e3e7ec; --soft: #f4f6f8; --accent: #a3341f;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root { --ground: #12161c; --text: #e8ecf1; --muted: #a3adba; --line: #2a323d; --soft: #1b212a; --accent: #ff9b85 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.55 var(--sans) }
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; overflow-wrap: anywhere }
h2 { margin: 2.6rem 0 0.6rem; font-size: 1.15rem; line-height: 1.3 }
p, li { max-width: 46rem }
.subject { margin: 0.3rem 0 0; color: var(--muted) }
.verdict { margin: 1.4rem 0; font-size: 1.15rem; line-height: 1.45 }
dl { display: flex; flex-wrap: wrap; gap: 0.6rem 2.4rem; margin: 1.2rem 0; padding: 0.9rem 0; border-block: 1px solid var(--line) }
dt { color: var(--muted); font-size: 0.85rem }
dd { margin: 0; font-variant-numeric: tabular-nums }
#chart { height: 34rem; margin-top: 1rem; overflow: hidden }
#picked {
  margin: 0.6rem 0 0; padding: 0.6rem 0.9rem; max-width: none; border-radius: 6px;
  background: var(--soft); color: var(--muted); overflow-wrap: anywhere;
}
#picked code { color: var(--text) }
.scroll { overflow-x: auto }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px }
table { width: 100%; border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums }
th, td { padding: 0.5rem 0.8rem 0.5rem 0; text-align: left; vertical-align: top; white-space: nowrap; border-bottom: 1px solid var(--line) }
thead th { color: var(--muted); font-weight: 500; border-bottom-color: var(--muted) }
tbody th { font-weight: 600 }
th.n, td.n { text-align: right; padding-right: 1.4rem }
td.h { min-width: 16rem; white-space: normal; overflow-wrap: anywhere; font-family: var(--mono); font-size: 0.84rem }
code, pre { font-family: var(--mono); font-size: 0.88rem }
pre { margin: 0.3rem 0 1rem; padding: 0.7rem 0.9rem; background: var(--soft); border-radius: 6px; white-space: pre-wrap }
pre { overflow-wrap: anywhere }
@media (max-width: 40rem) { main { padding: 1.5rem 1rem 3rem } #chart { height: 32rem } }
"""

SCRIPT = """
const { commands, ...figures } = JSON.parse(document.getElementById("data").textContent);
const chart = document.getElementById("chart");
const picked = document.getElementById("picked");
const dark = matchMedia("(prefers-color-scheme: dark)");
const options = {
  displaylogo: false,
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  // plotly's share button would upload the chart to plotly's own site.
  showSendToCloud: false,
  plotlyServerURL: "",
};

function draw() {
  const { data, layout } = structuredClone(figures[dark.matches ? "dark" : "light"]);
  return Plotly.react(chart, data, layout, options);
}

function pick({ points: [{ customdata: trial }] }) {
  const command = document.createElement("code");
  command.textContent = commands[trial];
  picked.replaceChildren(`Trial ${trial}: `, command);
}

if (chart) {
  draw().then(() => chart.on("plotly_click", pick));
  dark.addEventListener("change", draw);
  new ResizeObserver(() => Plotly.Plots.resize(chart)).observe(chart);
}
"""

BODY = """$chart
<h2>The frontier, cheapest first</h2>
$table
<ul>
$notes
</ul>
<h2>Take one with you</h2>
$commands
<p><code>--format peft</code> writes what stock PEFT loads, <code>merged</code> a plain model, <code>native</code> the
smallest file. A method without an exact form of that kind says which forms it has.</p>
"""

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title · adapters under a budget</title>
<style>$style</style>
</head>
<body>
<main>
<header>
<h1>$title</h1>
<p class="subject">$subject</p>
</header>
<p class="verdict">$verdict</p>
<dl>
$facts
</dl>
$body
<h2>How to read this</h2>
<p>Every mark is one trial: an adapter trained on the frozen model. Further right costs more trainable parameters, on a
logarithmic axis; higher is a better $metric. All marks are compared at the same training step, on the validation split.
The line joins the frontier: trials that no other matches with fewer parameters or beats with no more. The dashed line is
the budget.</p>
<p>The search chose by validation scores, so those of the frontier are a little too good. Each configuration on the
frontier is therefore retrained over fresh seeds and scored once on a test split that no choice has looked at: that mean,
with its 95 % interval over seeds and rows, is the number to quote. Two trials tie when the interval of their difference
holds zero.</p>
</main>
<script type="application/json" id="data">$data</script>
<script>$plotly</script>
<script>$script</script>
</body>
</html>
"""
