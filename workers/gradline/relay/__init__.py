"""The relay: carries what jobs have committed to MLflow. The only part of the product that imports mlflow."""
