// Command evaluator speaks the protocol of Porch's function runner with Google's own gRPC and protobuf, so that
// Loggia's client and server are judged by something else than each other.
//
//	evaluator serve              serves on a free port of the loopback interface, which it prints
//	evaluator call ADDRESS IMAGE sends the ResourceList of the standard input; prints the one that comes back
//	evaluator health ADDRESS     prints what grpc.health.v1 says
//
// As a server it knows three images: example.com/replace:v1 puts debug in the place of info, example.com/fail:v1 fails,
// and everything else is not found.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	service = "evaluator.FunctionEvaluator"
	method  = "EvaluateFunction"
	most    = 64 << 20
)

func field(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{
		Name:   proto.String(name),
		Number: proto.Int32(number),
		Type:   kind.Enum(),
		Label:  descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
}

// messages describes the two messages, as Porch's evaluator.proto does.
func messages() (request, response protoreflect.MessageDescriptor) {
	bytesType, text := descriptorpb.FieldDescriptorProto_TYPE_BYTES, descriptorpb.FieldDescriptorProto_TYPE_STRING
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:    proto.String("evaluator.proto"),
		Package: proto.String("evaluator"),
		Syntax:  proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{
				Name:  proto.String("EvaluateFunctionRequest"),
				Field: []*descriptorpb.FieldDescriptorProto{field("resource_list", 1, bytesType), field("image", 2, text)},
			},
			{
				Name:  proto.String("EvaluateFunctionResponse"),
				Field: []*descriptorpb.FieldDescriptorProto{field("resource_list", 1, bytesType), field("log", 2, bytesType)},
			},
		},
	}, nil)
	if err != nil {
		end(err)
	}
	return file.Messages().Get(0), file.Messages().Get(1)
}

func end(err error) {
	told := status.Convert(err)
	fmt.Fprintf(os.Stderr, "%s: %s\n", told.Code(), told.Message())
	os.Exit(1)
}

func get(message *dynamicpb.Message, name protoreflect.Name) protoreflect.Value {
	return message.Get(message.Descriptor().Fields().ByName(name))
}

func set(message *dynamicpb.Message, name protoreflect.Name, value any) {
	message.Set(message.Descriptor().Fields().ByName(name), protoreflect.ValueOf(value))
}

func evaluate(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	requestType, responseType := messages()
	request, response := dynamicpb.NewMessage(requestType), dynamicpb.NewMessage(responseType)
	if err := decode(request); err != nil {
		return nil, err
	}
	list, image := get(request, "resource_list").Bytes(), get(request, "image").String()
	switch image {
	case "example.com/replace:v1":
		set(response, "resource_list", bytes.ReplaceAll(list, []byte("info"), []byte("debug")))
		set(response, "log", []byte(fmt.Sprintf("replaced %d\n", bytes.Count(list, []byte("info")))))
		return response, nil
	case "example.com/fail:v1":
		return nil, status.Errorf(codes.Internal, "the function %s failed: no level", image)
	default:
		return nil, status.Errorf(codes.NotFound, "there is no function %s", image)
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		end(err)
	}
	fmt.Println(listener.Addr())
	server := grpc.NewServer(grpc.MaxRecvMsgSize(most), grpc.MaxSendMsgSize(most))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: method, Handler: evaluate}},
	}, nil)
	if err := server.Serve(listener); err != nil {
		end(err)
	}
}

func connect(address string) (*grpc.ClientConn, context.Context, context.CancelFunc) {
	limits := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(most), grpc.MaxCallSendMsgSize(most))
	client, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), limits)
	if err != nil {
		end(err)
	}
	waiting, cancel := context.WithTimeout(context.Background(), time.Minute)
	return client, waiting, cancel
}

func call(address, image string) {
	list, err := io.ReadAll(os.Stdin)
	if err != nil {
		end(err)
	}
	client, waiting, cancel := connect(address)
	defer cancel()
	requestType, responseType := messages()
	request, response := dynamicpb.NewMessage(requestType), dynamicpb.NewMessage(responseType)
	set(request, "resource_list", list)
	set(request, "image", image)
	if err := client.Invoke(waiting, "/"+service+"/"+method, request, response); err != nil {
		end(err)
	}
	fmt.Fprint(os.Stderr, string(get(response, "log").Bytes()))
	fmt.Print(string(get(response, "resource_list").Bytes()))
}

func health(address string) {
	client, waiting, cancel := connect(address)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(client).Check(waiting, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		end(err)
	}
	fmt.Println(answer.GetStatus())
}

func main() {
	switch arguments := os.Args[1:]; {
	case len(arguments) == 1 && arguments[0] == "serve":
		serve()
	case len(arguments) == 3 && arguments[0] == "call":
		call(arguments[1], arguments[2])
	case len(arguments) == 2 && arguments[0] == "health":
		health(arguments[1])
	default:
		fmt.Fprintln(os.Stderr, "usage: evaluator serve | call ADDRESS IMAGE | health ADDRESS")
		os.Exit(2)
	}
}
