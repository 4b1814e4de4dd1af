"""What animated clips share, whoever acts in them: kitchen, objects, poses, motion, film."""
