#!/usr/bin/env bash
# The job of `make demo`: a profile inside the checkout, the daemon, one campaign, its report.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/activate

aiida-perovskite setup profile

if ! verdi -v critical daemon status >/dev/null 2>&1; then
    verdi daemon start
    trap 'verdi daemon stop' EXIT
fi

# What is left to find shrinks as the shipped table grows: the demo begins where the first campaign began, so that the
# answers to its candidates stand in the table. A quick training, competitors with small cells only, a coarse absorption
# and semilocal bands keep it short; three candidates at once fill two cores while jobs are started and read.
aiida-perovskite screen --campaign demo --dataset halide-gaps-gpaw-first --complete --train-protocol fast \
    --protocol absorption=fast --protocol bands=semilocal --protocol stability=small --max-concurrent 3
mkdir -p campaign-reports
aiida-perovskite campaign report demo --output campaign-reports/demo.html

cat <<EOF

The report: $PWD/campaign-reports/demo.html (one file, opens offline in any browser)

To go on from here, in this shell:
  source tools/activate                     the environment and the profile of this demo
  verdi daemon start                        the daemon stops when the demo ends
  aiida-perovskite predict Cs2AgBiBr6       a gap from the network just trained
  aiida-perovskite campaign status demo     what the campaign did
EOF
