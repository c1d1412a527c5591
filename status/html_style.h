/* The style of the page: light and dark, and paper. Nothing is fetched. */
#ifndef WALFERRY_HTML_STYLE_H
#define WALFERRY_HTML_STYLE_H

#define HTML_STYLE                                                                                           \
    ":root{color-scheme:light dark;--ink:#1c2733;--soft:#5b6875;--page:#f5f6f8;--card:#fff;--edge:#d9dee4;"  \
    "--good:#1a7f45;--bad:#c42b1c;--blue:#2767b0;--light:#9fc3ea;--gone:#a9b2bc}\n"                          \
    "@media (prefers-color-scheme:dark){:root{--ink:#e4e9ee;--soft:#9aa7b4;--page:#14191f;--card:#1d242c;"   \
    "--edge:#323c47;--good:#4cc47f;--bad:#ff7566;--blue:#6aaef5;--light:#2f5b88;--gone:#66717d}}\n"          \
    "*{box-sizing:border-box}\n"                                                                             \
    "body{margin:0;padding:12px;background:var(--page);color:var(--ink);font:15px/1.45 "                     \
    "system-ui,sans-serif;"                                                                                  \
    "overflow-wrap:anywhere}\n"                                                                              \
    "main{max-width:1100px;margin:0 auto}\n"                                                                 \
    "section,header{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:14px;"     \
    "margin:0 0 12px}\n"                                                                                     \
    "h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:0 0 8px}h3{font-size:15px;margin:14px 0 "     \
    "4px}\n"                                                                                                 \
    "p{margin:4px 0}.soft,.axis{color:var(--soft)}.soft{font-size:13px}\n"                                   \
    ".good{color:var(--good)}.wrong{color:var(--bad)}\n"                                                     \
    "dl{display:grid;grid-template-columns:minmax(0,11em) minmax(0,1fr);gap:3px 12px;margin:8px 0 0}\n"      \
    "dt{color:var(--soft)}dd{margin:0}\n"                                                                    \
    "ul{margin:6px 0 0;padding-left:18px}li{margin:0 0 8px}\n"                                               \
    "table{width:100%%;border-collapse:collapse;table-layout:fixed;font-size:13px}\n"                        \
    "th,td{text-align:left;vertical-align:top;padding:3px 6px 3px 0;border-top:1px solid var(--edge)}\n"     \
    "col.when{width:12em}col.much{width:6.5em}\n"                                                            \
    "th{color:var(--soft);font-weight:normal}td.number,th.number{text-align:right}\n"                        \
    "svg{display:block;overflow:hidden;margin:8px 0 0}svg text{font:11px "                                   \
    "system-ui,sans-serif;fill:var(--soft)}\n"                                                               \
    ".tick{stroke:var(--edge)}.window{fill:var(--good)}.older{fill:var(--light)}.expired{fill:var(--edge)}"  \
    "\n"                                                                                                     \
    ".hole{fill:var(--bad);stroke:var(--bad);stroke-width:2}.policy{fill:var(--light)}\n"                    \
    "circle{stroke:var(--card)}circle.plain{fill:var(--blue)}circle.proven{fill:var(--good)}\n"              \
    "circle.bad{fill:var(--bad)}circle.goes{fill:none;stroke:var(--gone);stroke-width:2}\n"                  \
    ".size{stroke:var(--light);stroke-width:5}.stored{stroke:var(--blue);stroke-width:5}\n"                  \
    ".key{display:inline-block;width:10px;height:10px;border-radius:5px;margin:0 3px 0 8px}\n"               \
    "@media (max-width:480px){dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 6px}"                         \
    "table,tbody{display:block}tr{display:grid;grid-template-columns:minmax(0,1fr) 5.5em 5.5em}"             \
    "tr td:last-child{grid-column:1/-1;border:0;padding:0 0 3px}tr th:last-child{display:none}}\n"           \
    "@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--page:#fff;--card:#fff;--edge:#bbb;"      \
    "--good:#1a7f45;--bad:#c42b1c;--blue:#2767b0;--light:#9fc3ea;--gone:#888}"                               \
    "body{padding:0;font-size:11pt}section,header{break-inside:avoid;border-radius:0}"                       \
    "section.long{break-inside:auto}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n"

#endif
