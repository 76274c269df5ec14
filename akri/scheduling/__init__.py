"""What should run where: broker pods, jobs and services for the devices that are there. Pure, so that a policy can be tried offline."""
