rule mesh:
    """Fill the wave field's mask with the elements of the inversion."""
    input:
        unpack(inputs_of("mesh")),
    output:
        directory(MESH),
    log:
        f"{LOGS}_mesh.log",
    priority: critical
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(4000),
        runtime=by_attempt(30),
    params:
        settings=settings.mesh.model_dump_json(),
        receipt=receipt_of("mesh"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " palpate mesh {input.wavefield:q} --settings {params.settings:q} --out {output:q}"
