// The look of the report: one style sheet with a light and a dark palette, readable in print too.

export const STYLE = `
:root{--ground:#f6f7f9;--card:#fff;--ink:#17202a;--soft:#5b6773;--line:#e1e5ea;--pass:#15703f;--warn:#a86500;--fail:#c0272d;
--pass-tint:#e7f5ec;--warn-tint:#fdf3e1;--fail-tint:#fcebeb}
@media (prefers-color-scheme:dark){:root{--ground:#11161c;--card:#1a212a;--ink:#e7ecf1;--soft:#9aa7b4;--line:#2c3641;
--pass:#5cc98d;--warn:#e8b04f;--fail:#ff7b7b;--pass-tint:#173226;--warn-tint:#352a15;--fail-tint:#3a1d20}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:72rem;margin:0 auto;padding:2rem 1.25rem 3rem}
header{background:var(--card);border:1px solid var(--line);border-left:.5rem solid var(--tone);border-radius:.75rem;padding:1.5rem 1.75rem}
.pass{--tone:var(--pass);--tint:var(--pass-tint)}.warn{--tone:var(--warn);--tint:var(--warn-tint)}.fail{--tone:var(--fail);--tint:var(--fail-tint)}
.kicker{margin:0;color:var(--soft);font-size:.875rem;letter-spacing:.02em}
h1{margin:.15rem 0 .25rem;font-size:2rem;line-height:1.2;color:var(--tone)}
header p{margin:0 0 1rem;color:var(--soft)}header .kicker{margin:0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:1rem;margin:0 0 1rem}
.figures dt{color:var(--soft);font-size:.8125rem}.figures dd{margin:0;font-size:1.375rem;font-weight:600;font-variant-numeric:tabular-nums}
.bar{height:.5rem;border-radius:1rem;background:var(--fail-tint);overflow:hidden}.bar span{display:block;height:100%;background:var(--pass)}
h2{margin:2rem 0 .75rem;font-size:1.125rem}.count{color:var(--soft);font-weight:400}
.check{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:0 0 .5rem;overflow:hidden}
summary{display:flex;align-items:center;gap:.75rem;padding:.7rem 1rem;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}
summary:focus-visible{outline:2px solid var(--tone);outline-offset:-2px}
.mark{flex:none;display:grid;place-items:center;width:1.5rem;height:1.5rem;border-radius:50%;background:var(--tint);color:var(--tone);font-size:.875rem;font-weight:700}
.name{flex:1;font-weight:600;overflow-wrap:anywhere}
.tag{flex:none;padding:.1rem .6rem;border-radius:1rem;background:var(--tint);color:var(--tone);font-size:.8125rem;font-weight:600}
.body{padding:0 1rem 1rem 3.25rem}
.why{margin:0 0 .75rem;color:var(--soft);white-space:pre-line}
.pairs{display:grid;grid-template-columns:5rem 1fr;gap:.25rem 1rem;margin:0}.pairs dt{color:var(--soft)}.pairs dd{margin:0;overflow-wrap:anywhere}
code{font:.875em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.rows{margin-top:1rem;max-height:16rem;overflow:auto;border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%;font-size:.875rem}caption{text-align:left;padding:.5rem .75rem;color:var(--soft)}
th,td{text-align:left;padding:.25rem .75rem;border-top:1px solid var(--line);overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600}td:first-child{width:8rem;font-variant-numeric:tabular-nums;color:var(--soft)}
body .charts{margin-top:1rem}.export{margin:1rem 0 0}.export a{color:var(--pass);font-weight:600}
footer{margin-top:2rem;color:var(--soft);font-size:.875rem}
@media (max-width:40rem){main{padding:1rem .75rem 2rem}header{padding:1.1rem 1rem}h1{font-size:1.5rem}.body{padding-left:1rem}summary{flex-wrap:wrap}.pairs{grid-template-columns:1fr}.pairs dt{margin-top:.35rem}td:first-child{width:5.5rem}}
@media print{body{background:#fff}.rows{max-height:none}}
`;
