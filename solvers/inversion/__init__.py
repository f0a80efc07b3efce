"""Inversion of a wave field to the posterior of the complex shear modulus."""
