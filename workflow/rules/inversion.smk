rule invert:
    """Recover the stiffness posterior of one session."""
    input:
        unpack(inputs_of("invert")),
    output:
        directory(MRE),
    log:
        f"{LOGS}_invert.log",
    benchmark:
        f"{LOGS}_invert.tsv"
    conda:
        "../../envs/palpate.yaml"
    threads: 64
    resources:
        # UCX_TLS keeps ranks on one machine off network devices that a guest may not open;
        # a cluster's profile replaces the whole launcher.
        mpi="mpiexec -genv UCX_TLS self,sm,tcp",
        tasks=lambda wildcards, threads: threads,
        mem_mb_per_cpu=4000,
        runtime=480,
    params:
        settings=settings.inversion.model_dump_json(),
        labels=option("--labels", "labels"),
        receipt=receipt_of("invert"),
    shell:
        # The rank that failed leaves its sentence and exit code in a note, since launchers lose both.
        "rm -f {log:q}.failed; SLURM_KILL_BAD_EXIT=1 PALPATE_FAILURE={log:q}.failed PALPATE_RECEIPT={params.receipt:q}"
        " {resources.mpi} -n {resources.tasks} palpate invert {input.wavefield:q} --mesh {input.mesh:q} {params.labels:q}"
        " --settings {params.settings:q} --out {output:q} --ranks {resources.tasks} 2> >(tee {log:q} >&2)"
        " || python -m palpate.failure_note {log:q}.failed {log:q} $?"
