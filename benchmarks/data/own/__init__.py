"""One's own data without code: tables (CSV), COCO files, rows of the `datasets` library, folders of point clouds."""
