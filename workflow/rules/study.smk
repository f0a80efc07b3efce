STUDY_PAGE = f"{RESULTS}/study.html"


# It has neither inputs nor outputs, so that it is made anew whenever it is asked for, also of a study that failed.
rule study_page:
    """Show which steps of which sessions are done or have failed, and what they used, on one page."""
    log:
        f"{RESULTS}/logs/study_page.log",
    localrule: True
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(2000),
        runtime=by_attempt(30),
    params:
        results=RESULTS,
        sessions=str(settings.sessions),
        page=STUDY_PAGE,
    shell:
        "logged {log:q} palpate status {params.results:q} --sessions {params.sessions:q} --out {params.page:q}"
