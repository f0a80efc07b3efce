rule invert:
    """Recover the stiffness posterior of one session."""
    input:
        unpack(inputs_of("invert")),
    output:
        directory(MRE),
    log:
        f"{LOGS}_invert.log",
    priority: critical
    conda:
        "../../envs/palpate.yaml"
    threads: cores_of_inversion
    resources:
        mpi=launcher,
        tasks=ranks,
        cpus_per_task=1,
        mem_mb=memory_of_ranks,
        # Ranks may lie on several nodes, while mem_mb is what Slurm reserves on each of them.
        mem_mb_per_cpu=memory_of_rank,
        runtime=inversion_time,
    params:
        settings=settings.inversion.model_dump_json(),
        labels=option("--labels", "labels"),
        receipt=receipt_of("invert"),
    shell:
        # The rank that failed leaves its sentence and exit code in a note, since launchers lose both.
        "rm -f {log:q}.failed; SLURM_KILL_BAD_EXIT=1 PALPATE_FAILURE={log:q}.failed PALPATE_RECEIPT={params.receipt:q}"
        " logged {log:q}"
        " {resources.mpi} -n {resources.tasks} palpate invert {input.wavefield:q} --mesh {input.mesh:q} {params.labels:q}"
        " --settings {params.settings:q} --out {output:q} --ranks {resources.tasks}"
        " || python -m palpate.failure_note {log:q}.failed {log:q} $?"
