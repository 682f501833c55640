// A program on client-go, as controllers are written: informers, server-side
// apply, leader election, events, the dynamic client and discovery.
//
// Run with KUBECONFIG set. Each story prints its name when it is through; the
// first that is not as it should be ends the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/retry"
)

const (
	namespace = "default"
	patience  = 20 * time.Second
)

type program struct {
	config *rest.Config
	core   kubernetes.Interface
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		fail("config", err)
	}
	config.QPS, config.Burst = 200, 400
	// What the generated clients send by default for built-in kinds.
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	own := program{config: config, core: kubernetes.NewForConfigOrDie(config)}
	stories := []struct {
		name string
		tell func(context.Context, program) error
	}{
		{"discovery", discovery},
		{"informers", informs},
		{"conflicts", conflicts},
		{"apply", apply},
		{"election", election},
		{"events", events},
		{"custom", custom},
		{"metadata", metadataOnly},
		{"partial", partial},
		{"status", status},
		{"release", release},
	}
	for _, story := range stories {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := story.tell(ctx, own); err != nil {
			fail(story.name, err)
		}
		cancel()
		fmt.Println(story.name)
	}
}

func fail(name string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(1)
}

func discovery(_ context.Context, p program) error {
	groups, resources, err := p.core.Discovery().ServerGroupsAndResources()
	if err != nil {
		return err
	}
	if len(groups) < 8 || len(resources) < 8 {
		return fmt.Errorf("%d groups, %d lists of resources", len(groups), len(resources))
	}
	version, err := p.core.Discovery().ServerVersion()
	if err != nil || version.Major != "1" {
		return fmt.Errorf("version %v: %w", version, err)
	}
	return nil
}

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"set": "go"}},
		Data:       map[string]string{"x": value},
	}
}

// An informer sees what was there and what comes, once and in order.
func informs(ctx context.Context, p program) error {
	maps := p.core.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Create(ctx, configMap("before", "1"), metav1.CreateOptions{}); err != nil {
		return err
	}
	chosen := informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.LabelSelector = "set=go"
	})
	factory := informers.NewSharedInformerFactoryWithOptions(p.core, 0, informers.WithNamespace(namespace), chosen)
	informer := factory.Core().V1().ConfigMaps()
	told := make(chan string, 16)
	tell := func(what string, object interface{}) {
		found := object.(*corev1.ConfigMap)
		told <- what + " " + found.Name + " " + found.Data["x"]
	}
	_, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object interface{}) { tell("add", object) },
		UpdateFunc: func(_, object interface{}) { tell("update", object) },
		DeleteFunc: func(object interface{}) { tell("delete", object) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
		return errors.New("the cache never synced")
	}
	if _, err := maps.Create(ctx, configMap("after", "1"), metav1.CreateOptions{}); err != nil {
		return err
	}
	patch := []byte(`{"data":{"x":"2"}}`)
	if _, err := maps.Patch(ctx, "after", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	for _, name := range []string{"after", "before"} {
		if err := maps.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	expected := []string{"add before 1", "add after 1", "update after 2", "delete after 2", "delete before 1"}
	for _, wanted := range expected {
		select {
		case found := <-told:
			if found != wanted {
				return fmt.Errorf("told %q instead of %q", found, wanted)
			}
		case <-ctx.Done():
			return fmt.Errorf("never told %q", wanted)
		}
	}
	left, err := informer.Lister().List(labels.Everything())
	if err != nil || len(left) != 0 {
		return fmt.Errorf("%d are left in the cache: %w", len(left), err)
	}
	return nil
}

// Typed errors are told apart, and a conflict is retried.
func conflicts(ctx context.Context, p program) error {
	maps := p.core.CoreV1().ConfigMaps(namespace)
	made, err := maps.Create(ctx, configMap("c", "1"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if _, err := maps.Create(ctx, configMap("c", "1"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("created twice: %v", err)
	}
	if _, err := maps.Get(ctx, "nothing", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("found nothing: %v", err)
	}
	unchanged, err := maps.Update(ctx, made, metav1.UpdateOptions{})
	if err != nil || unchanged.ResourceVersion != made.ResourceVersion {
		return fmt.Errorf("an update without a change was one: %v", err)
	}
	stale := made.DeepCopy()
	made.Data["x"] = "2"
	if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	stale.Data["x"] = "3"
	if _, err := maps.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("a stale update was taken: %v", err)
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := maps.Get(ctx, "c", metav1.GetOptions{})
		if err != nil {
			return err
		}
		live.Data["x"] = "4"
		_, err = maps.Update(ctx, live, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	bad := configMap("UPPER", "1")
	if _, err := maps.Create(ctx, bad, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		return fmt.Errorf("an invalid name was taken: %v", err)
	}
	return maps.Delete(ctx, "c", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &made.UID}})
}

// Server-side apply by two managers, through the generated configurations.
func apply(ctx context.Context, p program) error {
	deployments := p.core.AppsV1().Deployments(namespace)
	web := func(replicas int32, image string) *appsac.DeploymentApplyConfiguration {
		label := map[string]string{"app": "web"}
		container := coreac.Container().WithName("c").WithImage(image)
		template := coreac.PodTemplateSpec().WithLabels(label).WithSpec(coreac.PodSpec().WithContainers(container))
		selector := metaac.LabelSelector().WithMatchLabels(label)
		spec := appsac.DeploymentSpec().WithReplicas(replicas).WithSelector(selector).WithTemplate(template)
		return appsac.Deployment("web", namespace).WithSpec(spec)
	}
	first, err := deployments.Apply(ctx, web(2, "nginx:1"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	again, err := deployments.Apply(ctx, web(2, "nginx:1"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil || again.ResourceVersion != first.ResourceVersion {
		return fmt.Errorf("an apply without a change was one: %v", err)
	}
	_, err = deployments.Apply(ctx, web(3, "nginx:1"), metav1.ApplyOptions{FieldManager: "two"})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("no conflict: %v", err)
	}
	forced := metav1.ApplyOptions{FieldManager: "two", Force: true}
	taken, err := deployments.Apply(ctx, web(3, "nginx:1"), forced)
	if err != nil || *taken.Spec.Replicas != 3 {
		return fmt.Errorf("not forced: %v", err)
	}
	extracted, err := appsac.ExtractDeployment(taken, "two")
	if err != nil || *extracted.Spec.Replicas != 3 {
		return fmt.Errorf("not extracted: %v", err)
	}
	foreground := metav1.DeletePropagationForeground
	return deployments.Delete(ctx, "web", metav1.DeleteOptions{PropagationPolicy: &foreground})
}

// Of two candidates one leads, and the other follows when it lets go.
func election(ctx context.Context, p program) error {
	lead := func(ctx context.Context, name string, started chan<- string) {
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "election", Namespace: namespace},
			Client:     p.core.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock:            lock,
			ReleaseOnCancel: true,
			LeaseDuration:   4 * time.Second,
			RenewDeadline:   3 * time.Second,
			RetryPeriod:     200 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { started <- name },
				OnStoppedLeading: func() {},
			},
		})
	}
	started := make(chan string, 2)
	first, release := context.WithCancel(ctx)
	go lead(first, "one", started)
	if err := leads(ctx, started, "one"); err != nil {
		release()
		return err
	}
	second, stop := context.WithCancel(ctx)
	defer stop()
	go lead(second, "two", started)
	release()
	return leads(ctx, started, "two")
}

func leads(ctx context.Context, started <-chan string, wanted string) error {
	select {
	case found := <-started:
		if found != wanted {
			return fmt.Errorf("%q leads instead of %q", found, wanted)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%q never led", wanted)
	}
}

// The recorder writes an event, and counts it when it is the same again.
func events(ctx context.Context, p program) error {
	maps := p.core.CoreV1().ConfigMaps(namespace)
	about, err := maps.Create(ctx, configMap("about", "1"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	about.APIVersion, about.Kind = "v1", "ConfigMap"
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	sink := &typedcore.EventSinkImpl{Interface: p.core.CoreV1().Events("")}
	broadcaster.StartRecordingToSink(sink)
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "story"})
	for range 3 {
		recorder.Event(about, corev1.EventTypeNormal, "Told", "the same again")
	}
	selector := "involvedObject.name=about,reason=Told"
	return wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		list, err := p.core.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
		if err != nil {
			return false, err
		}
		return len(list.Items) == 1 && list.Items[0].Count == 3, nil
	})
}

// A definition, its objects through the dynamic client, and a dynamic informer.
func custom(ctx context.Context, p program) error {
	config := rest.CopyConfig(p.config)
	config.ContentType, config.AcceptContentTypes = "application/json", ""
	client := dynamic.NewForConfigOrDie(config)
	definitions := client.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	definition := &unstructured.Unstructured{Object: map[string]interface{}{
		"apiVersion": "apiextensions.k8s.io/v1",
		"kind":       "CustomResourceDefinition",
		"metadata":   map[string]interface{}{"name": "widgets.go.example.com"},
		"spec": map[string]interface{}{
			"group": "go.example.com",
			"scope": "Namespaced",
			"names": map[string]interface{}{"plural": "widgets", "kind": "Widget"},
			"versions": []interface{}{map[string]interface{}{
				"name": "v1", "served": true, "storage": true,
				"subresources": map[string]interface{}{"status": map[string]interface{}{}},
				"schema": map[string]interface{}{"openAPIV3Schema": map[string]interface{}{
					"type":                                 "object",
					"x-kubernetes-preserve-unknown-fields": true,
				}},
			}},
		},
	}}
	if _, err := definitions.Create(ctx, definition, metav1.CreateOptions{}); err != nil {
		return err
	}
	widgets := client.Resource(schema.GroupVersionResource{
		Group: "go.example.com", Version: "v1", Resource: "widgets",
	}).Namespace(namespace)
	widget := &unstructured.Unstructured{Object: map[string]interface{}{
		"apiVersion": "go.example.com/v1",
		"kind":       "Widget",
		"metadata":   map[string]interface{}{"name": "w", "finalizers": []interface{}{"go.example.com/hold"}},
		"spec":       map[string]interface{}{"size": int64(3)},
	}}
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := widgets.Create(ctx, widget, metav1.CreateOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	live, err := widgets.Get(ctx, "w", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := unstructured.SetNestedField(live.Object, "Ready", "status", "phase"); err != nil {
		return err
	}
	if live, err = widgets.UpdateStatus(ctx, live, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if live.GetGeneration() != 1 {
		return fmt.Errorf("generation %d after a status update", live.GetGeneration())
	}
	if err := widgets.Delete(ctx, "w", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if live, err = widgets.Get(ctx, "w", metav1.GetOptions{}); err != nil || live.GetDeletionTimestamp() == nil {
		return fmt.Errorf("not waiting for its finalizer: %v", err)
	}
	live.SetFinalizers(nil)
	if _, err := widgets.Update(ctx, live, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if _, err := widgets.Get(ctx, "w", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("it did not go: %v", err)
	}
	return definitions.Delete(ctx, "widgets.go.example.com", metav1.DeleteOptions{})
}

// The metadata client asks for protobuf first and takes JSON.
func metadataOnly(ctx context.Context, p program) error {
	client := metadata.NewForConfigOrDie(p.config)
	maps := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(namespace)
	list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "set=go"})
	if err != nil {
		return err
	}
	for _, item := range list.Items {
		if item.Name == "about" {
			return nil
		}
	}
	return fmt.Errorf("not among %d", len(list.Items))
}

// A cache of partial objects, as controller-runtime keeps of kinds it only owns.
func partial(ctx context.Context, p program) error {
	factory := metadatainformer.NewFilteredSharedInformerFactory(metadata.NewForConfigOrDie(p.config), 0, namespace,
		func(options *metav1.ListOptions) { options.LabelSelector = "set=go" })
	informer := factory.ForResource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Informer()
	told := make(chan string, 16)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object interface{}) { told <- "add " + object.(*metav1.PartialObjectMetadata).Name },
		UpdateFunc: func(_, object interface{}) {
			told <- "update " + object.(*metav1.PartialObjectMetadata).Annotations["note"]
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("the cache never synced")
	}
	patch := []byte(`{"metadata":{"annotations":{"note":"seen"}}}`)
	maps := p.core.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Patch(ctx, "about", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	for _, wanted := range []string{"add about", "update seen"} {
		select {
		case found := <-told:
			if found != wanted {
				return fmt.Errorf("told %q instead of %q", found, wanted)
			}
		case <-ctx.Done():
			return fmt.Errorf("never told %q", wanted)
		}
	}
	return nil
}

// The status is applied through its own door, and owned apart from the spec.
func status(ctx context.Context, p program) error {
	deployments := p.core.AppsV1().Deployments(namespace)
	label := map[string]string{"app": "status"}
	container := coreac.Container().WithName("c").WithImage("nginx:1")
	template := coreac.PodTemplateSpec().WithLabels(label).WithSpec(coreac.PodSpec().WithContainers(container))
	selector := metaac.LabelSelector().WithMatchLabels(label)
	spec := appsac.DeploymentSpec().WithReplicas(1).WithSelector(selector).WithTemplate(template)
	options := metav1.ApplyOptions{FieldManager: "one", Force: true}
	made, err := deployments.Apply(ctx, appsac.Deployment("status", namespace).WithSpec(spec), options)
	if err != nil {
		return err
	}
	ready := appsac.Deployment("status", namespace).
		WithStatus(appsac.DeploymentStatus().WithReplicas(1).WithReadyReplicas(1).WithObservedGeneration(1))
	applied, err := deployments.ApplyStatus(ctx, ready, options)
	if err != nil {
		return err
	}
	if applied.Status.ReadyReplicas != 1 || applied.Generation != made.Generation || *applied.Spec.Replicas != 1 {
		return fmt.Errorf("not as applied: %v", applied)
	}
	extracted, err := appsac.ExtractDeploymentStatus(applied, "one")
	if err != nil || *extracted.Status.ReadyReplicas != 1 || extracted.Spec != nil {
		return fmt.Errorf("not extracted: %v", err)
	}
	return deployments.Delete(ctx, "status", metav1.DeleteOptions{})
}

// A release as Helm's driver keeps it: a large Secret of a type of its own, found by its labels.
func release(ctx context.Context, p program) error {
	secrets := p.core.CoreV1().Secrets(namespace)
	made := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   "sh.helm.release.v1.web.v1",
			Labels: map[string]string{"owner": "helm", "name": "web", "status": "pending-install", "version": "1"},
		},
		Type: "helm.sh/release.v1",
		Data: map[string][]byte{"release": make([]byte, 700_000)},
	}
	if _, err := secrets.Create(ctx, made, metav1.CreateOptions{}); err != nil {
		return err
	}
	made.Labels["status"] = "deployed"
	if _, err := secrets.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	list, err := secrets.List(ctx, metav1.ListOptions{LabelSelector: "name=web,owner=helm,status=deployed"})
	if err != nil || len(list.Items) != 1 || len(list.Items[0].Data["release"]) != 700_000 {
		return fmt.Errorf("%d releases: %v", len(list.Items), err)
	}
	return secrets.Delete(ctx, made.Name, metav1.DeleteOptions{})
}
