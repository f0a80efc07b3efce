"""Values of regions: the share of each voxel in a region, and the average over it of each joint draw."""
