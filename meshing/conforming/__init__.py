"""From labelled voxels to tetrahedra that meet face to face, one label each."""
