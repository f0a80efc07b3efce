rule ingest:
    """Turn a scanner's DICOM into a wave field, or check a wave field that is finished."""
    input:
        unpack(inputs_of("ingest")),
    output:
        directory(WAVEFIELD),
    log:
        f"{LOGS}_ingest.log",
    priority: critical
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(4000),
        runtime=by_attempt(30),
    params:
        settings=settings.ingest.model_dump_json(),
        anatomy=option("--anatomy", "anatomy"),
        mask=mask_option,
        receipt=receipt_of("ingest"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate ingest {input.mre:q} {params.anatomy:q} {params.mask:q} --label sub-{wildcards.subject}_ses-{wildcards.session}"
        " --settings {params.settings:q} --out {output:q}"
