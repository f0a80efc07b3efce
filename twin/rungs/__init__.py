"""Three models of one tumour, from milliseconds to the patient's voxels: logistic, radial and lattice."""
