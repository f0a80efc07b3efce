"""Pipeline of a study (Snakefile, rules, schema, profiles) as package data, and how it is started.

In a checkout the files are links to the top-level ones, in an installed package they are files of their own. This
folder has the layout of the checkout, so that the rules find config.yaml and envs/ beside the Snakefile in both.
"""
