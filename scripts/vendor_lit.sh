#!/bin/sh
# Bundle the Control UI's three libraries into one ES module each and record their checksums.
#
# Only needed to move to a new version: change the numbers, run it, commit what it wrote. Needs node and npm;
# the product itself needs neither.
set -eu

LIT=3.3.3
MARKED=18.2.1
DOMPURIFY=3.4.18
ESBUILD=0.28.2

here=$(cd "$(dirname "$0")/.." && pwd)
vendor="$here/openclaw/ui/static/assets/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
echo '{"private":true}' >package.json
npm install --no-audit --no-fund --silent "lit@$LIT" "marked@$MARKED" "dompurify@$DOMPURIFY" "esbuild@$ESBUILD"

cat >lit.in.js <<'JS'
export {LitElement, html, svg, css, nothing, render} from 'lit';
export {classMap} from 'lit/directives/class-map.js';
export {ifDefined} from 'lit/directives/if-defined.js';
export {live} from 'lit/directives/live.js';
export {createRef, ref} from 'lit/directives/ref.js';
export {repeat} from 'lit/directives/repeat.js';
JS
echo "export {Marked} from 'marked';" >marked.in.js
echo "export {default} from 'dompurify';" >dompurify.in.js

bundle() { # name, title, version, licence identifier, licence file
  {
    printf '/*!\n * %s %s, bundled as one ES module by scripts/vendor_lit.sh.\n * SPDX-License-Identifier: %s\n *\n' "$2" "$3" "$4"
    sed -e 's/\r$//' -e 's/[*]\//* \//g' -e 's/^/ * /' -e 's/[ ]*$//' "$5"
    printf ' */\n'
    node_modules/.bin/esbuild "$1.in.js" --bundle --format=esm --minify --target=es2022 --legal-comments=none --log-level=warning
  } >"$vendor/$1.js"
}

mkdir -p "$vendor"
bundle lit "Lit" "$LIT" BSD-3-Clause node_modules/lit/LICENSE
sed -n '/^## Marked$/,$p' node_modules/marked/LICENSE >marked.licence
bundle marked "marked" "$MARKED" MIT marked.licence
cat >dompurify.licence <<'TXT'
Copyright Cure53 and other contributors.
Released under the Apache License 2.0 or the Mozilla Public License 2.0; used here under the Apache License 2.0,
whose text is at https://www.apache.org/licenses/LICENSE-2.0
TXT
bundle dompurify "DOMPurify" "$DOMPURIFY" "Apache-2.0 OR MPL-2.0" dompurify.licence

{
  echo '# Vendored libraries'
  echo
  echo 'One ES module each, made by `scripts/vendor_lit.sh`; never edited by hand. `tests/unit/ui` checks the sums.'
  echo
  echo '| file | library | version | licence | sha256 |'
  echo '|---|---|---|---|---|'
  row() { echo "| $1 | $2 | $3 | $4 | $(sha256sum "$vendor/$1" | cut -d' ' -f1) |"; }
  row lit.js 'Lit, with class-map, if-defined, live, ref, repeat' "$LIT" BSD-3-Clause
  row marked.js marked "$MARKED" MIT
  row dompurify.js DOMPurify "$DOMPURIFY" 'Apache-2.0 OR MPL-2.0'
} >"$vendor/VERSIONS.md"
echo "written: $vendor"
