//! The look of the page.

/// The style sheet, in the page itself so that the page is one file.
pub(super) const STYLE: &str = r#"
:root { --ink: #1c2430; --soft: #5d6879; --line: #dde2ea; --paper: #ffffff; --model: #1f5fbf; --still: #9a6a00; --good: #1c7a3e; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa6b6; --line: #323b47; --paper: #14181e; --model: #7fb0ff; --still: #e0b04a; --good: #63c587; --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 66rem; color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { max-width: 44rem; margin: .4rem 0; }
.soft { color: var(--soft); }
.key { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.2rem 0; }
.key div { min-width: 7rem; }
.key b { display: block; font-size: 1.6rem; font-weight: 600; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); }
th:first-child, td:first-child { text-align: left; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; flex: 1 1 26rem; }
figcaption { color: var(--soft); font-size: .9rem; }
svg { width: 100%; max-width: 37rem; height: auto; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .tick { fill: var(--soft); }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.grid { stroke: var(--line); }
.axis { stroke: var(--soft); }
.diagonal { stroke: var(--soft); stroke-dasharray: 4 4; }
.whisker { stroke: var(--model); stroke-opacity: .3; }
.point { fill: var(--model); stroke: var(--paper); stroke-width: 1.5; }
polyline { fill: none; stroke-width: 2.5; }
polyline.model { stroke: var(--model); }
polyline.still { stroke: var(--still); }
svg text.model { fill: var(--model); }
svg text.still { fill: var(--still); }
.shows { display: grid; grid-template-columns: repeat(auto-fit, minmax(29rem, 1fr)); gap: 2rem 1.5rem; }
@media (max-width: 32rem) { .shows { grid-template-columns: 1fr; } }
.show h3 { font-size: 1rem; margin: 0 0 .3rem; }
.show img { image-rendering: pixelated; width: 100%; display: block; margin: .15rem 0; }
.show .moving { width: 75%; }
.good { color: var(--good); }
.bad { color: var(--bad); }
pre { overflow-x: auto; padding: .7rem 1rem; border: 1px solid var(--line); border-radius: 4px; font-size: .9rem; }
"#;
