#!/bin/bash
# goal: walferry-status --html is one page that asks for nothing else, draws what is there and what is missing, and takes nothing it is told for markup
# stores: file
# full-stores: s3
# limit: 300
. "$(dirname "$0")/../lib.sh"

html() { # STATUS
    expect_status "$1" walferry-status --html page.html
    python3 - page.html >page.facts <<'PY' || fail "page.html: $(cat page.facts)"
import sys, re, xml.etree.ElementTree as tree
text = open(sys.argv[1], encoding="utf-8").read()
assert text.startswith("<!DOCTYPE html>\n")
page = tree.fromstring(text.split("\n", 1)[1])  # well-formed
names = {element.tag for element in page.iter()}
allowed = set("html head meta title style body main header section h1 h2 h3 p dl dt dd ul li b br span table colgroup col tr th td svg g rect circle line text".split())
assert names <= allowed, names - allowed  # no script, link, img, a, iframe, foreignObject, use, image
for element in page.iter():
    for name, value in element.items():
        assert not name.startswith("on") and name not in ("href", "src", "xlink:href", "action", "data"), name
        assert "url(" not in value and "://" not in value, value
style = page.find("head/style").text
assert "url(" not in style and "@import" not in style and "@media print" in style and "prefers-color-scheme" in style
assert page.find("head/meta[@name='viewport']") is not None
assert "default-src 'none'" in page.find("head/meta[@http-equiv='Content-Security-Policy']").get("content")
for shape, kind in (("rect", "window"), ("rect", "older"), ("rect", "hole"), ("rect", "policy"), ("circle", "plain"), ("circle", "proven"), ("circle", "bad"), ("circle", "goes"), ("line", "stored")):
    print(shape, kind, sum(1 for element in page.iter(shape) if element.get("class") == kind))
print("words", " ".join("".join(page.find("body").itertext()).split()))
PY
}
drawn() { sed -n "s/^$1 $2 //p" page.facts; } # SHAPE KIND: how many

step "a repository without a backup"
config_write $'keep_last = 1\n[wal-fetch]\nhole_wait = 0\n[status]\ndrill_age = 0 days\nverify_age = 0 days'
server_create main --wal-segsize=1
server_start main
system=$(system_identifier main)
expect_status 0 repository-init
html 1
expect_equal "its mode" 600 "$(stat -c %a page.html)"
expect_equal "timelines" "0 0" "$(drawn rect window) $(drawn circle plain)"

step "three backups, of which two go next; one is verified, a drill has passed and one has failed, which says what no browser is to take for markup"
sql main "create table t (i int)"
for i in 1 2 3; do
    expect_status 0 basebackup-push --checkpoint=fast
    ids[i]=$(tail -1 <<<"$output")
done
expect_status 0 basebackup-verify --full --backup "${ids[3]}"
now=$(date -u +%Y%m%dT%H%M%S)
report() { # NAME MEMBERS
    python3 -c 'import hashlib, sys
text = "{\"walferry\":1,\"kind\":\"drill\"," + sys.argv[1]
print(text + ",\"sha256\":\"" + hashlib.sha256(text.encode()).hexdigest() + "\"}")' "$2" >document
    object_put "main/$system/reports/$1" document
}
report "$now.000000Z-drill-${ids[1]}+61500" '"passed":true,"rpo_seconds":2.5'
report "$now.000001Z-drill-${ids[1]}+1500.failed" '"passed":false,"problem":"</title></svg><script>alert(1)</script> & \"\u0007"'
chmod 644 page.html
html 1
expect_equal "the mode that it had" 644 "$(stat -c %a page.html)"
expect_equal "window, holes" "1 0" "$(drawn rect window) $(drawn rect hole)"
expect_equal "backups: going, verified, drills: passed, failed" "2 2 1" "$(drawn circle goes) $(drawn circle proven) $(drawn circle bad)"
expect_equal "sizes" 3 "$(drawn line stored)"
grep -qF 'the last restore drill failed, ' page.facts || fail "no word of the drill"
grep -qF '</title></svg><script>alert(1)</script> & "' page.facts || fail "the drill's problem is not told as it is"
expect_true "escaped" grep -qF '&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;alert(1)' page.html
expect_true "what goes" grep -q 'goes next' page.facts
cp page.html well.html

step "a hole is drawn"
segment=$(sql main "select pg_walfile_name(pg_current_wal_lsn())")
sql main "insert into t values (1)" "select pg_switch_wal()" "insert into t values (2)" >/dev/null
archived main
expect_status 0 basebackup-push --checkpoint=fast
object_delete "$(wal_key "$segment")"
sed -i 's/^keep_last = 1/keep_wal = 7 days/' "$CONFIG"
html 1
expect_equal "window, older, hole, policy" "1 1 1 1" "$(drawn rect window) $(drawn rect older) $(drawn rect hole) $(drawn rect policy)"
expect_status 2 walferry-status --html - --prometheus -
expect_status 1 walferry-status --html -
expect_output "^<!DOCTYPE html>"
server_stop main

if [ -n "${FULL:-}" ]; then
    step "in a browser: as wide as a phone and a screen, in the dark, on paper"
    for page in well page; do
        mkdir "$page.shots"
        HOME=$T "$SOURCE/tests/browser" "$page.html" "$page.shots"
        for view in phone screen dark paper; do expect_true "a picture" test -s "$page.shots/$view.png"; done
    done
fi
