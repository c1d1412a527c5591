#!/bin/bash
# goal: the README's tree is the tree on disk; every program has its man page, --help, --version, and refuses wrong usage
# stores: none
. "$(dirname "$0")/../lib.sh"

step "README: every top-level folder, one line each, and nothing else"
# A line of the tree begins with the folder's name and a slash, as in "common/   what two programs need".
listed=$(sed -n 's|^\(\.\{0,1\}[a-z][a-z-]*\)/ .*|\1|p' "$SOURCE/README.md" | sort)
there=$(cd "$SOURCE" && find . -mindepth 1 -maxdepth 1 -type d ! -empty ! -name .git ! -name build -printf '%P\n' | sort)
expect_equal "folders twice in the README" "" "$(uniq -d <<<"$listed")"
# .ci is named as a file (.ci/run) or not at all
expect_equal "folders" "$(grep -v '^\.' <<<"$there")" "$(grep -v '^\.' <<<"$listed")"

step "programs"
programs=$(make -s -f - -C "$SOURCE" programs <<<$'include Makefile\nprograms:\n\t@echo $(notdir $(PROGRAMS))')
expect_true "there are programs" test -n "$programs"
for program in $programs; do
    echo "-- $program"
    expect_true "in the README" grep -q "$program" "$SOURCE/README.md"
    expect_true "a man page" test -s "$SOURCE/man/$program.1"
    expect_status 0 "$program" --version
    expect_output "^$program .*[0-9]+\.[0-9]+"
    expect_status 0 "$program" --help
    expect_output "^Usage:"
    help=$output
    expect_status 0 "$program" '-?'
    expect_equal "its help" "$help" "$output"
    # Every option of --help stands in the man page. roff writes a dash as \-.
    sed 's/\\-/-/g; s/\\f[BIRP]//g' "$SOURCE/man/$program.1" >page
    for option in $(grep -Eo -- '--[a-z][a-z-]*' <<<"$output" | sort -u); do
        expect_true "$option in the man page" grep -q -- "$option" page
    done
    usage=2
    [ "$program" != wal-fetch ] || usage=200
    expect_status $usage "$program" --nonsense
    expect_status $usage "$program" one two three four
    expect_status $usage "$program" --config
done

step "docs/wounds.md: the tests that it names are there, and the issues are named there"
python3 - "$SOURCE" <<'PY'
import re, sys
from pathlib import Path
source = Path(sys.argv[1])
scenarios = {path.stem: path.read_text() for path in source.glob("tests/scenarios/*.sh")}
named = {issue for text in scenarios.values() for line in text.splitlines() if "wound:" in line for issue in re.findall(r"#\d+", line)}
rows = [line.split(" | ") for line in (source / "docs/wounds.md").read_text().splitlines() if re.match(r"\| ?\d* \|", line)]
assert len(rows) > 25, rows
for _, who, _, here in rows:
    if not re.search("comes? with", here):
        assert set(re.findall(r"#\d+", who)) <= named, f"no test names all of {who}"
    parts = re.split(r"\b(\d\d(?:-[a-z-]+)?): ", here)
    for scenario, words in zip(parts[1::2], parts[2::2]):
        text = "".join(text for name, text in scenarios.items() if name.startswith(scenario))
        for step in re.findall(r'"([^"]+?)(?: \.\.\.)?"', words):
            assert step in text, f"{scenario} has no \"{step}\""
print(f"{len(rows)} rows, {len(named)} issues")
PY

step "README and docs: each block of commands is run by the test that follows its page, or says which one runs it, or why none can"
cd "$SOURCE"
blocks=0 skipped=0
for page in README.md $(find docs -name '*.md' | LC_ALL=C sort); do
    tests/pages/blocks "$page" >"$T/blocks" || fail "$page: see above"
    follows=$(grep -lxE "page $page( as-it-is)?" tests/scenarios/*.sh || true)
    while IFS=$'\t' read -r _ heading mark; do
        blocks=$((blocks + 1))
        case $mark in
        'run by: '*) expect_true "$page, $heading: ${mark#run by: } is there" test -s "${mark#run by: }" ;;
        'not run: '*) skipped=$((skipped + 1)) && echo "$page, $heading: $mark" ;;
        *) expect_true "$page, $heading: a scenario that has \"page $page\"" test -n "$follows" ;;
        esac
    done <"$T/blocks"
    for scenario in $follows; do
        expect_equal "$scenario: pages that it follows, to their ends" "$(grep -c '^page ' "$scenario")" "$(grep -cx page_end "$scenario")"
    done
done
expect_true "there are many, not $blocks" test "$blocks" -gt 20
echo "$blocks blocks of commands, $skipped that nobody runs"

step "README and docs: the options that a sentence, a crontab or a configuration gives a program are options that it has"
# shellcheck disable=SC2086
python3 - "$PROGRAMS" $programs <<'PY'
import re, subprocess, sys
from pathlib import Path
programs = {name: subprocess.run([f"{sys.argv[1]}/{name}", "--help"], capture_output=True, text=True).stdout for name in sys.argv[2:]}
call = re.compile(r"(?<![\w/.-])(?:/\S*/)?(" + "|".join(sorted(programs, key=len, reverse=True)) + r")((?: +[^\s`;|&)]+)+)")
seen = 0
for page in [Path("README.md"), Path("postgresql.conf.sample"), *sorted(Path("docs").rglob("*.md"))]:
    for line in page.read_text().splitlines():
        for name, rest in call.findall(line) if "-->" not in line else []:  # that is a drawing's arrow
            for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest):
                seen += 1
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", programs[name]), f"{page}: {name} has no {option}: {line[:200]}"
assert seen > 100, seen
print(f"{seen} options")
PY

step "each problem that walferry-status can tell has its runbook"
kinds=$(sed -n '/^### Problems/,/^## /s/^| `\([a-z_]*\)` |.*/\1/p' docs/monitoring.md)
expect_true "there are kinds" test "$(wc -l <<<"$kinds")" -gt 10
for kind in $kinds; do expect_true "$kind in docs/runbooks/README.md" grep -q "^|.*\`$kind\`" docs/runbooks/README.md; done

step "house rules of the files"
cd "$SOURCE"
expect_true "the license" grep -qi "permission to use, copy, modify" LICENSE
expect_equal "files with an absolute path of a developer's machine" "" "$(grep -rlE '/(work/(main|shared)|home)/' --include='*' . --exclude-dir=build --exclude=15-tree.sh | head -3)"
