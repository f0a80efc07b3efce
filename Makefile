# make demo   set everything up, run the main job on the embedded patient, say where to look
# make test   set everything up, run the linters and the tests
# make verify set everything up, run what takes longer: long tests, faults, signals, false alarms
# make dist   set everything up, build wheel, source distribution and list of components into dist/
# make sbom   set everything up, write the list of components with licences to dist/palpate.cdx.json
# make audit  ask whether faults of the pinned versions are known; never passes where nobody looked
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := demo

BIN := .venv/bin
READY := .venv/.ready
CORES ?= 2

PATIENT := demo/patient
RESULTS := demo/results
SESSION := sub-01/ses-01

# One thread a rank: OpenBLAS would otherwise start as many threads as cores in each. UCX_TLS keeps ranks on this
# machine off network devices that a guest may not open.
export OMP_NUM_THREADS := 1
export UCX_TLS := self,sm,tcp

# One process more than cores, as many tests wait for a server or a browser. Whole files to a process, in their order:
# fixtures of a file are made once. (Groups are not kept: pytest-xdist 3.8 writes them into names that pytest 9.2 no
# longer reads.)
DEALT := -n $$(($(CORES) + 1)) --dist loadfile --no-loadscope-reorder

# Only files that carry the mark: each rank would otherwise import every test there is, for half a minute.
ON_RANKS := timeout -k 10 900 $(BIN)/mpiexec -n 2 $(BIN)/python -m pytest -p no:xdist -p no:cacheprovider \
    $$(grep -rlF 'mark.mpi' tests --include='test_*.py')

LINTERS := ruff mypy contracts snakefmt snakemake-lint

.PHONY: demo test verify setup lint $(LINTERS) pytest mpi lock audit sbom dist clean FORCE

demo: $(READY) $(PATIENT)/sessions.tsv
	$(BIN)/snakemake -c$(CORES) --configfile workflow/demo.yaml --config sessions=$(PATIENT)/sessions.tsv results=$(RESULTS)
	$(BIN)/palpate verify maps $(RESULTS)/$(SESSION) --truth $(PATIENT)/$(SESSION)/truth
	$(BIN)/palpate verify forecast $(RESULTS)/sub-02/twin/forecast --truth $(PATIENT)/sub-02/truth/truth.json
	@printf '\nLook at:\n'
	@printf '  page            %s\n' $(RESULTS)/$(SESSION)/report.html
	@printf '  maps in kPa     %s\n' $(RESULTS)/$(SESSION)/mre
	@printf '  DICOM           %s\n' $(RESULTS)/$(SESSION)/dicom
	@printf '  the true maps   %s\n' $(PATIENT)/$(SESSION)/truth
	@printf '  tumour forecast %s\n' $(RESULTS)/sub-02/twin/outlook.html
	@printf '\nOne question, %s:\n' 'palpate query $(RESULTS)/$(SESSION) --sphere=-33,-16,30,6 --above 3.2 --format csv'
	@$(BIN)/palpate query $(RESULTS)/$(SESSION) --sphere=-33,-16,30,6 --above 3.2 --quantity storage_modulus --format csv
	@printf 'The same over HTTP, with a page, at http://127.0.0.1:8000 once this runs: %s\n' '$(BIN)/palpate serve $(RESULTS)'

$(PATIENT)/sessions.tsv: demo/.phantom | $(READY)
	settings=$$($(BIN)/python -m palpate.config config.yaml phantom) && \
	$(BIN)/mpiexec -n $(CORES) $(BIN)/palpate phantom --settings "$$settings" --longitudinal --out $(PATIENT)

# The patient's settings and the program that makes it; a file that is written only where these are other ones.
demo/.phantom: FORCE | $(READY)
	@mkdir -p $(@D)
	@$(BIN)/python -m palpate.config config.yaml phantom > $@.now
	@$(BIN)/python -m palpate.program phantom >> $@.now
	@if cmp -s $@.now $@; then rm $@.now; else mv $@.now $@; fi

FORCE:

test: lint pytest mpi

# Each prints its figures beside its goals and leaves its record; none of them decides by the seconds of this machine.
# Cohorts and whole brains take half an hour to an hour each (docs/benchmarks.md); their short forms are long tests.
# Faults take about an hour and a half of processor time, with 30 kills of each stage two and a half.
VERIFIED := damaged_bytes vendors unwrapping false_alarms fifty_signals phantom_box two_nodes

verify: $(READY)
	$(BIN)/python -m pytest $(DEALT) -m long
	$(ON_RANKS) -m "mpi and long"
	for name in $(VERIFIED); do $(BIN)/python benchmarks/$$name.py --out verified/$$name; done
	$(BIN)/python benchmarks/faults.py --out verified/faults --kills 3

setup: $(READY)

# The lock pins and hashes everything, so pip neither resolves nor trusts an index. Compiled once on all cores, since a
# command would otherwise spend three seconds of processor time on it, at every start where Python may not write there.
# Then come a second of multiplying, since a BLAS that crashes on this processor is found now, not hours into a run, and
# ten of compiling weak forms into the environment, where machines without a compiler find them.
$(READY): envs/requirements.lock pyproject.toml
	@python=$$(envs/find-python) && "$$python" envs/check_system.py && \
	{ [ -x $(BIN)/python ] && $(BIN)/python -c '' 2>/dev/null || "$$python" -m venv --clear .venv; }
	@echo 'Installing the pinned environment into .venv (about 2 GB, once; a few minutes).'
	@$(BIN)/python -m pip install -qq --no-compile --no-deps --require-hashes -r envs/requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 0 -x '[/\\]tests?[/\\]' $$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')
	@$(BIN)/python -m palpate.blas_check
	@$(BIN)/python -m palpate.solvers.compile_ahead .venv/share/palpate/forms >/dev/null
	@touch $@

# Side by side, as all but mypy take seconds; the output of each in one piece.
lint: $(READY)
	$(MAKE) --no-print-directory -j $(CORES) -O $(LINTERS)

ruff:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
mypy:
	$(BIN)/mypy
contracts:
	$(BIN)/lint-imports
snakefmt:
	$(BIN)/snakefmt --check Snakefile workflow
snakemake-lint:
	$(BIN)/snakemake --lint --config sessions=tests/configs/study/sessions.tsv results=demo/results

pytest: $(READY)
	$(BIN)/python -m pytest $(DEALT) -m "not long"

mpi: $(READY)
	$(ON_RANKS) -m "mpi and not long"

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --no-annotate --overrides envs/overrides.txt \
	    envs/requirements.in -o envs/requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.12 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --no-annotate envs/audit.in -o envs/audit.lock

# The script ends with 0 (none known), 2 (some known) or 3 (not audited). Make ends with 2 wherever a command fails and
# names the number, so what has to tell them apart runs envs/audit.py itself.
audit:
	@python=$$(envs/find-python) && "$$python" envs/audit.py

sbom: $(READY)
	$(BIN)/python envs/sbom.py --out dist/palpate.cdx.json

# Files of an earlier build in build/ would become part of the wheel.
dist: $(READY)
	rm -rf build dist
	$(BIN)/python -c 'from setuptools import build_meta as made; made.build_sdist("dist"); made.build_wheel("dist")'
	$(BIN)/python envs/sbom.py --out dist/palpate.cdx.json

clean:
	rm -rf demo verified build dist .snakemake
