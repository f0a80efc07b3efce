rule mesh:
    """Fill the wave field's mask with the elements of the inversion."""
    input:
        unpack(inputs_of("mesh")),
    output:
        directory(MESH),
    log:
        f"{LOGS}_mesh.log",
    conda:
        "../../envs/palpate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=settings.mesh.model_dump_json(),
        receipt=receipt_of("mesh"),
    shell:
        "PALPATE_RECEIPT={params.receipt:q}"
        " palpate mesh {input.wavefield:q} --settings {params.settings:q} --out {output:q} 2> >(tee {log:q} >&2)"
